// The order of a job's events: duplicates and disorder in, each event once and in order out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Job } from "../src/job.js";

const event = (seq, last = 9) => ({ jobId: "j", seq, status: seq === last ? "completed" : "in_progress" });
const seqs = (events) => events.map(({ seq }) => seq);

/** Yield functions that return pseudo-random numbers below n. */
function* numbers(seed) {
  for (let state = seed; ; ) yield (n) => (state = (state * 48_271) % 2_147_483_647) % n;
}

test("each event is delivered once and in order, for every order of arrival", () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    const below = numbers(seed).next().value;
    const arrivals = [...Array(9).keys()].flatMap((at) => Array(1 + below(3)).fill(at + 1));
    for (let at = arrivals.length - 1; at > 0; at -= 1) {
      const other = below(at + 1);
      [arrivals[at], arrivals[other]] = [arrivals[other], arrivals[at]];
    }
    const job = new Job("j", true);
    const delivered = arrivals.flatMap((seq) => seqs(job.accept(event(seq))));
    assert.deepEqual(delivered, [1, 2, 3, 4, 5, 6, 7, 8, 9], `seed ${seed}: ${arrivals}`);
    assert.deepEqual(seqs(job.events), delivered);
    assert.ok(job.ended && !job.hasHole);
  }
});

test("a gap is detected, and skipped when its events have expired", () => {
  const job = new Job("j", true);
  assert.deepEqual(seqs(job.accept(event(4))), []);
  assert.ok(job.hasHole);
  assert.deepEqual(seqs(job.skipTo(3)), []);
  assert.deepEqual(seqs(job.accept(event(3))), [3, 4]);
  assert.ok(!job.hasHole);
});

test("a job that is not complete delivers no older event", () => {
  const job = new Job("j", false);
  assert.deepEqual([3, 2, 3, 7, 5].flatMap((seq) => seqs(job.accept(event(seq)))), [3, 7]);
  assert.deepEqual(job.events, []);
  assert.equal(job.latest.seq, 7);
});

test("a view is the same object until the job changes", () => {
  const job = new Job("j", true);
  const before = job.view;
  assert.equal(job.view, before);
  job.accept(event(1));
  job.changed();
  assert.notEqual(job.view, before);
  assert.equal(job.view.latest.seq, 1);
});
