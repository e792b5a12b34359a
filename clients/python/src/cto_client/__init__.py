"""A client for CTO operations, over REST and Server-Sent Events. It needs no part of the server.

``Client`` is for threads, ``AsyncClient`` for asyncio. Both have the same methods.
"""

from cto_client.async_client import AsyncClient
from cto_client.client import Client
from cto_client.errors import CTOError
from cto_client.models import (
    Cancelling,
    Details,
    Event,
    Job,
    JobFilters,
    JobSummary,
    Operation,
    OperationResult,
    Resolution,
    Stats,
    Step,
    Summary,
    WalletResult,
)

__all__ = [
    "AsyncClient",
    "CTOError",
    "Cancelling",
    "Client",
    "Details",
    "Event",
    "Job",
    "JobFilters",
    "JobSummary",
    "Operation",
    "OperationResult",
    "Resolution",
    "Stats",
    "Step",
    "Summary",
    "WalletResult",
]
