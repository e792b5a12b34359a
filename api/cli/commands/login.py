"""``cto login``, ``cto logout`` and ``cto profiles``: saved gateways and tokens."""

from __future__ import annotations

import json
import sys
from urllib.parse import urlsplit

import click

from api.cli import profiles
from api.cli.profiles import Profile
from api.cli.rest_client import RestClient
from api.cli.shared_options import as_json, profile_option
from api.cli.terminal.table_output import print_table
from cto_worker.addresses import is_loopback
from cto_worker.config import Settings


@click.command("login")
@click.option("--url", help="URL of the gateway (default: the one that the other commands use).")
@click.option("--profile", help=f"Name to save it under (default: {profiles.DEFAULT_NAME}).")
@click.option(
    "--token-command", default="", help="Command that prints a token; it runs whenever one is needed."
)
def login(*, url: str | None, profile: str | None, token_command: str) -> None:
    """Save a gateway and a token for later commands.

    In a terminal it asks for the token; otherwise it reads the token from the input. A gateway with
    CTO_AUTH=off needs none: leave it empty. Without --url, the gateway is that of CTO_HOST and CTO_PORT, or
    of the saved profile, but never of another profile. The file belongs to you alone. The saved gateway
    becomes the default: commands use it unless --url, --profile, CTO_HOST or CTO_PORT name another.
    CTO_TOKEN replaces its token.
    """
    name = profile or profiles.DEFAULT_NAME
    if not profiles.NAME.match(name):
        raise click.UsageError(
            f"--profile is {name!r}: use 1 to 64 characters, each a letter, a digit, _ or -"
        )
    if url is None:
        settings, known = Settings.from_env(), profiles.load().by_name.get(name)
        # Never that of another profile, which must not receive the token.
        url = (
            known.url
            if known and (profile or settings.base_url == Settings().base_url)
            else settings.base_url
        )
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise click.UsageError(f"--url is {url!r}: use the gateway's address, as https://cto.example.org")
    saved = Profile(url.rstrip("/"), "" if token_command else _entered_token(url), token_command)
    RestClient(saved.url, saved.current_token).get("/api/cto/jobs", limit=1)  # raises if it is not accepted
    profiles.save(profiles.load().with_profile(name, saved))
    click.echo(f"saved in {profiles.path()}; {saved.url} is now the default gateway")
    if urlsplit(url).scheme == "http" and not is_loopback(urlsplit(url).hostname or ""):
        click.echo("warning: http:// sends the token unencrypted; use https://", err=True)


@click.command("logout")
@profile_option
def logout(*, profile: str | None) -> None:
    """Remove a saved gateway and its token."""
    saved = profiles.load()
    name = profile or saved.default
    if not name:
        raise click.UsageError("no default profile is saved: name one with --profile")
    profiles.save(saved.without(name))
    click.echo(f"removed: {name}. The token stays valid until it expires or is revoked")


@click.command("profiles")
@click.option("--use", metavar="NAME", help="Make this profile the default.")
@as_json
def list_profiles(*, use: str | None, as_json: bool) -> None:
    """List the saved gateways, or choose the default one."""
    saved = profiles.load()
    if use:
        saved = saved.with_profile(use, saved.get(use))
        profiles.save(saved)
    shown = [
        {"profile": name, "url": each.url, "default": name == saved.default, "token": _source(each)}
        for name, each in saved.by_name.items()
    ]
    if as_json:
        click.echo(json.dumps(shown))
    elif not shown:
        click.echo("no profiles: `cto login` saves one")
    else:
        rows = [
            (str(row["profile"]), str(row["url"]), "yes" if row["default"] else "", str(row["token"]))
            for row in shown
        ]
        print_table(("profile", "url", "default", "token"), rows)


def _entered_token(url: str) -> str:
    if sys.stdin.isatty():
        token: str = click.prompt(
            f"Token for {url}", default="", hide_input=True, show_default=False, err=True
        )
        return token.strip()
    return sys.stdin.readline().strip()


def _source(profile: Profile) -> str:
    """Return where the token comes from. The token itself is never shown."""
    return "from a command" if profile.token_command else "saved" if profile.token else "none"
