// The periods of phases and steps, from the events of a job.
import assert from "node:assert/strict";
import { test } from "node:test";
import { timeline } from "cto-progress";

const event = (seq, timestamp, details, fields = {}) => ({
  seq, timestamp, phase: 4, phaseTitle: "Executing Operation", mode: "standard", status: "in_progress", details, ...fields,
});
const step = (kind, wallet) => ({ kind, wallet, status: "confirmed", signature: null, spent: 1, tokens: kind === "buy" ? 500_000 : 0 });
const ENDED = { phase: 5, phaseTitle: "CTO Operation Completed", status: "completed" };
const periods = (spans) => spans.map(({ kind, wallet, from, to }) => [kind, wallet, from, to]);

const TOGETHER = [
  event(1, 100, { plannedWallets: ["a", "b"], startingWallets: ["a", "b"] }),
  event(2, 500, { lastStep: step("transfer", "a") }), // this event and the next share one write
  event(3, 500, { lastStep: step("transfer", "b"), startingWallets: ["a", "b"] }),
  event(4, 900, { lastStep: step("buy", "b"), currentOperation: "Buying with 1 wallet" }),
  event(5, 950, { lastStep: step("buy", "a") }),
];

test("steps of different wallets overlap", () => {
  const { steps, running, to } = timeline([...TOGETHER, event(6, 960, {}, ENDED)]);
  assert.deepEqual(periods(steps), [["transfer", "a", 100, 500], ["transfer", "b", 100, 500], ["buy", "b", 500, 900], ["buy", "a", 500, 950]]);
  assert.deepEqual([running, to], [[], 960]);
  assert.equal(steps[3].price, 2);
});

test("steps in flight have begun and not ended", () => {
  assert.deepEqual(periods(timeline(TOGETHER.slice(0, 1)).running), [["transfer", "a", 100, null], ["transfer", "b", 100, null]]);
  assert.deepEqual(periods(timeline(TOGETHER.slice(0, 4)).running), [["buy", "a", 500, null]]);
  const prefunded = TOGETHER.slice(0, 1).map((each) => ({ ...each, mode: "prefunded" }));
  assert.equal(timeline(prefunded).running[0].kind, "buy");
});

test("a step that a cancellation prevented has no period", () => {
  const { steps, running } = timeline([...TOGETHER.slice(0, 3), event(4, 510, {}, { ...ENDED, status: "failed" })]);
  assert.deepEqual([steps.length, running], [2, []]);
});

test("without startingWallets a step begins with the event before it", () => {
  const older = TOGETHER.map((each) => ({ ...each, details: { ...each.details, startingWallets: undefined } }));
  assert.deepEqual(periods(timeline(older).steps).slice(2), [["buy", "b", 500, 900], ["buy", "a", 900, 950]]);
});

test("phases follow each other, and the last one is in progress until the job ends", () => {
  const first = event(1, 50, {}, { phase: 1, phaseTitle: "CTO Operation Started" });
  assert.deepEqual(timeline([first, ...TOGETHER]).phases.map(({ phase, from, to }) => [phase, from, to]), [[1, 50, 100], [4, 100, null]]);
  assert.equal(timeline([]), null);
});
