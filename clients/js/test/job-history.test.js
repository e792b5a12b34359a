import assert from "node:assert/strict";
import { test } from "node:test";
import { CTOError } from "../src/errors.js";
import { JobHistory } from "../src/job-history.js";
import { simulate } from "../src/simulate.js";

const REQUEST = { tokenAddress: "t", userId: "u", userChatId: 1, mode: "prefunded", buyAmount: 1, walletCount: 1 };

const settled = () => new Promise((resolve) => setTimeout(resolve));

test("pages are added until the last one", async () => {
  const client = simulate();
  const ids = [];
  for (const _ of [1, 2, 3, 4, 5]) ids.unshift((await client.submit(REQUEST)).jobId);
  await client.submit({ ...REQUEST, userId: "other" });
  const history = new JobHistory(client, { userId: "u", limit: 2 });
  const shown = () => history.state.jobs.map(({ jobId }) => jobId);
  assert.deepEqual([history.state.isPending, history.state.isFetching], [true, false]);
  history.start();
  history.start();
  assert.equal(history.state.isFetching, true);
  await settled();
  assert.deepEqual([shown(), history.state.isPending, history.state.hasNextPage], [ids.slice(0, 2), false, true]);
  await Promise.all([history.fetchNextPage(), history.fetchNextPage()]); // the second call does nothing
  assert.deepEqual(shown(), ids.slice(0, 4));
  await history.fetchNextPage();
  await history.fetchNextPage();
  assert.deepEqual([shown(), history.state.hasNextPage], [ids, false]);
  ids.unshift((await client.submit(REQUEST)).jobId);
  await history.refetch();
  assert.deepEqual(shown(), ids.slice(0, 2));
});

test("an error keeps the jobs, and a response that comes late is not used", async () => {
  const responses = [];
  const client = { jobs: () => new Promise((resolve, reject) => responses.push({ resolve, reject })) };
  const history = new JobHistory(client, {});
  history.start();
  void history.refetch();
  responses[1].resolve({ jobs: [{ jobId: "new" }], nextCursor: null });
  await settled();
  responses[0].resolve({ jobs: [{ jobId: "old" }], nextCursor: null });
  await settled();
  assert.deepEqual(history.state.jobs, [{ jobId: "new" }]);
  void history.refetch();
  responses[2].reject(new CTOError("unreachable", "the gateway does not answer"));
  await settled();
  assert.equal(history.state.error.code, "unreachable");
  assert.deepEqual([history.state.jobs.length, history.state.isFetching], [1, false]);
});
