"""``cto token``, ``cto revoke`` and ``cto secrets``: access tokens, and the passwords of a deployment."""

from __future__ import annotations

from pathlib import Path

import click

from api.auth import token_revocations
from api.auth.caller import Role
from api.auth.token_issuer import issue
from api.cli.audit.change_entries import enter_if_possible
from api.cli.system import deployment_secrets
from cto_worker.config import Settings
from cto_worker.domain.audit_entry import Action, local_actor
from cto_worker.domain.operation_request import USER_ID
from cto_worker.store.store_connection import connect


@click.command("token")
@click.option("--user", required=True, help="User id, for the claim `sub`.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default="user",
    help="Role, for the claim `role`.",
)
@click.option("--hours", type=click.FloatRange(0, 8_760), default=12, help="Lifetime of the token, in hours.")
def token(*, user: str, role: str, hours: float) -> None:
    """Print an access token for development.

    It is signed with CTO_JWT_SECRET.
    """
    settings = Settings.from_env()
    if not USER_ID.match(user):
        raise click.UsageError(
            f"--user is {user!r}: use 1 to 64 characters, each a letter, a digit or one of _ . : @ + -"
        )
    click.echo(issue(settings, user, Role(role), round(hours * 3_600)))


@click.command("revoke")
@click.option("--jti", help="Revoke the token with this id.")
@click.option("--user", help="Revoke all tokens issued to this user until now.")
@click.option(
    "--days",
    type=click.IntRange(1, 3_650),
    default=30,
    help="Days to remember the revocation; at least the longest lifetime of a token.",
)
def revoke(*, jti: str | None, user: str | None, days: int) -> None:
    """Revoke access tokens and close their connections within a second."""
    if bool(jti) == bool(user):
        raise click.UsageError("Give exactly one of --jti and --user.")
    settings = Settings.from_env()
    with connect(settings) as store:
        token_revocations.revoke(
            store,
            token_id=jti or "",
            user_id=user or "",
            keep_s=days * 86_400,
            actor=local_actor(),
            replicas=settings.replicas,
        )
    click.echo(f"revoked: {f'token {jti}' if jti else f'all tokens issued to {user} until now'}")


@click.command("secrets")
@click.argument("directory", type=click.Path(path_type=Path), default=Path("deploy/secrets"))
@click.option(
    "--rights",
    type=click.Path(path_type=Path),
    default=Path("deploy/valkey/users.acl"),
    help="Template of the store's ACL file.",
)
@click.option(
    "--rotate",
    type=click.Choice(sorted(deployment_secrets.ROTATED)),
    multiple=True,
    help="Secret to replace; repeatable.",
)
def secrets(*, directory: Path, rights: Path, rotate: tuple[str, ...]) -> None:
    """Create the secrets of a deployment, or add the missing ones.

    Existing secrets stay unless --rotate names them. After `--rotate store` the store accepts the previous
    passwords too, until you run the command again without --rotate. docs/how-to/deploying.md lists the
    processes to restart.
    """
    enter_if_possible(Action.SECRETS_WRITE, target=str(directory), after={"rotated": list(rotate)})
    for path in deployment_secrets.make(directory, rights, rotate):
        click.echo(f"written: {path}")
