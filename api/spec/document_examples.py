"""The examples in the published documents: one operation, from its request to its result."""

from __future__ import annotations

from typing import Any

JOB_ID = "0b9c2f64-5d7e-4a39-9c1b-2f3f6f0f7a11"
_WALLET, _SIGNATURE = "7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3", "5VERYLongSignatureInBase58"
REQUEST: dict[str, Any] = {
    "tokenAddress": "So11111111111111111111111111111111111111112",
    "userId": "7",
    "userChatId": 42,
    "mode": "prefunded",
    "buyAmount": 0.5,
    "walletCount": 1,
}
FIRST_EVENT: dict[str, Any] = {
    "workerType": "cto_operation",
    "totalPhases": 5,
    "jobId": JOB_ID,
    "seq": 1,
    "attempt": 0,
    "tokenAddress": REQUEST["tokenAddress"],
    "userId": "7",
    "userChatId": 42,
    "phase": 1,
    "phaseTitle": "CTO Operation Started",
    "phaseDescription": "Initiating prefunded CTO operation",
    "progress": 10,
    "status": "started",
    "timestamp": 1_790_000_000_000,
    "mode": "prefunded",
    "platform": "unknown",
    "buyAmount": 0.5,
    "details": {"currentOperation": "Waiting for a worker"},
}
LAST_EVENT: dict[str, Any] = FIRST_EVENT | {
    "seq": 2,
    "attempt": 1,
    "phase": 5,
    "phaseTitle": "CTO Operation Completed",
    "phaseDescription": "1 buys succeeded, 0 failed; 0.5 SOL spent",
    "progress": 100,
    "status": "completed",
    "timestamp": 1_790_000_002_500,
    "platform": "raydium",
    "details": {
        "successfulBuys": 1,
        "failedBuys": 0,
        "totalSpent": 0.5,
        "walletsUsed": 1,
        "plannedBuys": 1,
        "outcome": "full",
        "needsReview": False,
        "transactionSignatures": [_SIGNATURE],
    },
}
RESULT: dict[str, Any] = {
    "success": True,
    "outcome": "full",
    "needsReview": False,
    "mode": "prefunded",
    "platform": "raydium",
    "buyAmount": 0.5,
    "plannedBuys": 1,
    "successfulBuys": 1,
    "failedBuys": 0,
    "unknownBuys": 0,
    "unknownTransfers": 0,
    "totalSpent": 0.5,
    "tokensBought": 1_250_000,
    "walletsUsed": 1,
    "transactionSignatures": [_SIGNATURE],
    "durationMs": 2_500,
    "steps": [
        {
            "kind": "buy",
            "wallet": _WALLET,
            "status": "confirmed",
            "signature": _SIGNATURE,
            "spent": 0.5,
            "tokens": 1_250_000,
        }
    ],
    "wallets": [
        {
            "wallet": _WALLET,
            "buy": "confirmed",
            "plannedBuys": 1,
            "successfulBuys": 1,
            "spent": 0.5,
            "tokens": 1_250_000,
        }
    ],
}
STATUS = {
    "jobId": JOB_ID,
    "status": "completed",
    "outcome": "full",
    "needsReview": False,
    "progressEvents": [FIRST_EVENT, LAST_EVENT],
    "latestProgress": LAST_EVENT,
    "operationResult": RESULT,
    "currentPhase": 5,
    "currentProgress": 100,
}
PAGE = {
    "jobs": [
        {
            "jobId": JOB_ID,
            "status": "completed",
            "outcome": "full",
            "needsReview": False,
            "createdAt": FIRST_EVENT["timestamp"],
            "currentPhase": 5,
            "currentProgress": 100,
            **{
                name: LAST_EVENT[name] for name in ("tokenAddress", "userId", "mode", "platform", "buyAmount")
            },
            "latestProgress": LAST_EVENT,
        }
    ],
    "nextCursor": None,
}
