"""Options that several commands take."""

from __future__ import annotations

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
at_url = click.option("--url", help="Where the gateway is, if not where the settings say.")
