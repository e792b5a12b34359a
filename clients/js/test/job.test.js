// A job's events: whatever comes, however often and in whatever order, each is delivered once and in order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Job } from "../src/job.js";

const event = (seq, last = 9) => ({ jobId: "j", seq, status: seq === last ? "completed" : "in_progress" });
const seqs = (events) => events.map(({ seq }) => seq);

/** Numbers below n, the same every time. */
function* numbers(seed) {
  for (let state = seed; ; ) yield (n) => (state = (state * 48_271) % 2_147_483_647) % n;
}

test("each event is delivered once and in order, however they come", () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    const below = numbers(seed).next().value;
    const coming = [...Array(9).keys()].flatMap((at) => Array(1 + below(3)).fill(at + 1));
    for (let at = coming.length - 1; at > 0; at -= 1) {
      const other = below(at + 1);
      [coming[at], coming[other]] = [coming[other], coming[at]];
    }
    const job = new Job("j", true);
    const delivered = coming.flatMap((seq) => seqs(job.take(event(seq))));
    assert.deepEqual(delivered, [1, 2, 3, 4, 5, 6, 7, 8, 9], `seed ${seed}: ${coming}`);
    assert.deepEqual(seqs(job.events), delivered);
    assert.ok(job.ended && !job.hasHole);
  }
});

test("what is missing is known, and given up when it is gone", () => {
  const job = new Job("j", true);
  assert.deepEqual(seqs(job.take(event(4))), []);
  assert.ok(job.hasHole);
  assert.deepEqual(seqs(job.skipTo(3)), []);
  assert.deepEqual(seqs(job.take(event(3))), [3, 4]);
  assert.ok(!job.hasHole);
});

test("who wants only the latest is given no older one", () => {
  const job = new Job("j", false);
  assert.deepEqual([3, 2, 3, 7, 5].flatMap((seq) => seqs(job.take(event(seq)))), [3, 7]);
  assert.deepEqual(job.events, []);
  assert.equal(job.latest.seq, 7);
});

test("a view is the same object until the job changes", () => {
  const job = new Job("j", true);
  const before = job.view;
  assert.equal(job.view, before);
  job.take(event(1));
  job.changed();
  assert.notEqual(job.view, before);
  assert.equal(job.view.latest.seq, 1);
});
