"""Options and parameter types that several commands share."""

from __future__ import annotations

import math
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from api.cli import profiles
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


class FiniteRange(click.FloatRange):
    """The type of a number in a range. Refuses ``nan``, which :class:`click.FloatRange` accepts."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises :class:`click.BadParameter` if it is not finite or not in the range."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``-o json`` and its short form ``--json``. The command gets the parameter ``as_json``."""

    @click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        help="Output for people or for programs.",
    )
    @click.option("--json", "json_flag", is_flag=True, help="The same as -o json.")
    @wraps(command)
    def with_output(*, output: str, json_flag: bool, **parameters: Any) -> Any:
        return command(as_json=json_flag or output == "json", **parameters)

    return with_output


def _profile_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del ctx, param
    try:
        names = list(profiles.load().by_name)
    except ConfigError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


profile_option = click.option(
    "--profile", shell_complete=_profile_names, help="Saved gateway to use (see `cto login`)."
)


def at_gateway(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--url`` and ``--profile``, which name the gateway."""
    url = click.option(
        "--url", help="URL of the gateway (default: from CTO_HOST and CTO_PORT, or a profile)."
    )
    return url(profile_option(command))
