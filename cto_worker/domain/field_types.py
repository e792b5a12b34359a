"""Types of fields in events and responses: their bounds, and their published descriptions."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from cto_worker.domain.ids_and_rooms import JOB_ID_PATTERN

TOTAL_PHASES: Literal[5] = 5


def doc(text: str) -> Meta:
    """Return the description of a field, in Markdown."""
    return Meta(description=text)


Count = Annotated[int, Meta(ge=0)]
Amount = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]
Percent = Annotated[int, Meta(ge=0, le=100)] | Annotated[float, Meta(ge=0, le=100)]
PhaseNumber = Annotated[int, Meta(ge=1, le=TOTAL_PHASES)]
JobId = Annotated[
    str, Meta(min_length=1, extra_json_schema={"pattern": f"^{JOB_ID_PATTERN}$"}), doc("The job")
]
TokenAddress = Annotated[str, doc("The mint address of the token, base58")]
OwnerId = Annotated[str, doc("The owner of the job")]
Platform = Annotated[
    str,
    doc("The platform on which the token trades; `unknown` until phase 3, unless the request named it"),
]
BuyAmount = Annotated[Amount, doc("SOL to spend in total")]
