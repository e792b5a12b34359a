"""The ``cto`` command: all its commands, in the sections of its help."""

from __future__ import annotations

import click

from api.cli.command_group import SectionedGroup

# Each command, by its name: its module in api/cli, and its function.
SECTIONS = {
    "Operations": {
        "submit": "commands.submit:submit",
        "watch": "commands.watch:watch_jobs",
        "show": "commands.show:show",
        "jobs": "commands.jobs:jobs",
        "cancel": "commands.cancel:cancel",
    },
    "Run a system": {
        "up": "commands.up_demo:run_system",
        "demo": "commands.up_demo:run_demo",
        "doctor": "commands.doctor:check_system",
        "local-chain": "commands.local_chain:run_local_chain",
    },
    "Access": {
        "login": "commands.login:login",
        "logout": "commands.login:logout",
        "profiles": "commands.login:list_profiles",
        "token": "commands.token_revoke_secrets:token",
        "revoke": "commands.token_revoke_secrets:revoke",
    },
    "Operate a system": {
        "resolve": "commands.resolve:resolve",
        "audit": "audit.commands:audit",
        "backup": "commands.backup_migrate_park:backup",
        "park": "commands.backup_migrate_park:park",
        "migrate": "commands.backup_migrate_park:migrate_archive",
        "secrets": "commands.token_revoke_secrets:secrets",
    },
    "Keys": {"signer": "signer.commands:signer"},
    "Tools": {
        "market": "commands.market:market",
        "completion": "commands.completion:completion",
    },
}


@click.group(
    cls=SectionedGroup,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(package_name="cto")
def main() -> None:
    """Run CTO operations and watch them live.

    Settings are CTO_* environment variables. docs/reference/settings.md lists them, and
    docs/reference/cli.md describes the commands.
    """


if __name__ == "__main__":
    main()
