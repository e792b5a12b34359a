import assert from "node:assert/strict";
import { test } from "node:test";
import { buysOf, neededReview, outcomeOf, statsOf } from "../src/index.js";

const event = (status, details) => ({ status, attempt: 1, progress: status === "in_progress" ? 80 : 100, details });

for (const [outcome, status, details] of [
  ["full", "completed", { outcome: "full", successfulBuys: 5 }],
  ["partial", "completed", { outcome: "partial", successfulBuys: 5, failedBuys: 0 }],
  ["full", "completed", { successfulBuys: 5, failedBuys: 0 }],
  ["partial", "completed", { successfulBuys: 2, failedBuys: 8 }],
  ["partial", "failed", { successfulBuys: 3, failedBuys: 0, errorCode: "cancelled" }],
  ["unknown", "completed", { successfulBuys: 3, failedBuys: 0, unknownTransfers: 1 }],
  ["unknown", "failed", { errorCode: "needs_review" }],
  ["none", "failed", { successfulBuys: 0, failedBuys: 0, errorCode: "insufficient_funds" }],
  [null, "failed", { errorCode: "insufficient_funds" }],
  [null, "in_progress", { successfulBuys: 2 }],
]) {
  test(`${status} with ${JSON.stringify(details)} is ${outcome}`, () => {
    assert.equal(outcomeOf(event(status, details)), outcome);
    assert.equal(neededReview(event(status, details)), outcome === "unknown");
  });
}

test("planned buys are counted by result", () => {
  const cancelled = event("failed", { plannedBuys: 10, successfulBuys: 3, failedBuys: 1, errorCode: "cancelled" });
  assert.deepEqual(buysOf(cancelled), { planned: 10, bought: 3, failed: 1, unknown: 0, left: 6 });
  const afterUnknownTransfer = event("completed", { plannedBuys: 10, successfulBuys: 6, failedBuys: 1, unknownBuys: 1, unknownTransfers: 1 });
  assert.deepEqual(buysOf(afterUnknownTransfer), { planned: 10, bought: 6, failed: 1, unknown: 3, left: 0 }, "a wallet with an unknown transfer may have sent three orders");
  assert.deepEqual(buysOf(null), { planned: 0, bought: 0, failed: 0, unknown: 0, left: 0 });
});

test("jobs are counted by status and by outcome", () => {
  const latest = [
    event("completed", { outcome: "partial", successfulBuys: 2 }), event("completed", { outcome: "unknown" }),
    event("failed", { outcome: "none" }), event("in_progress", {}),
  ];
  const { completed, failed, byOutcome } = statsOf(latest.map((final) => ({ latest: final })));
  assert.deepEqual({ completed, failed, byOutcome }, { completed: 2, failed: 1, byOutcome: { full: 0, partial: 1, none: 1, unknown: 1 } });
});
