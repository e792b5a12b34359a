import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../src/client.js";
import { CTOError } from "../src/errors.js";
import { cancellation, submission } from "../src/mutation.js";

const REQUEST = { tokenAddress: "t", userId: "u", userChatId: 1, mode: "standard", buyAmount: 1 };

/** A client whose requests are answered by the test: `answer(value or error)` answers the oldest. */
function fakeGateway() {
  const requests = [];
  const rest = { requestWithRetry: (method, path, options) => new Promise((resolve, reject) => requests.push({ path, options, resolve, reject })) };
  const answer = (value) => {
    const { resolve, reject } = requests.find((request) => !request.answered);
    requests.find((request) => !request.answered).answered = true;
    if (value instanceof Error) reject(value);
    else resolve(value);
    return new Promise((done) => setTimeout(done));
  };
  const keys = () => requests.map(({ options }) => options.headers["Idempotency-Key"]);
  return { client: new Client({ url: "http://gateway", rest }), requests, answer, keys };
}

test("a double click sends one request", async () => {
  const { client, requests, answer } = fakeGateway();
  const submit = submission(client);
  const both = [submit.mutateAsync(REQUEST), submit.mutateAsync({ ...REQUEST })];
  assert.equal(requests.length, 1);
  assert.equal(submit.state.status, "pending");
  await answer({ jobId: "one" });
  assert.deepEqual((await Promise.all(both)).map(({ jobId }) => jobId), ["one", "one"]);
  assert.deepEqual(submit.state, { status: "success", data: { jobId: "one" }, error: null });
});

test("an operation that may have started keeps its key, and the next one gets another", async () => {
  const { client, answer, keys } = fakeGateway();
  const submit = submission(client);
  submit.mutate(REQUEST);
  await answer(new CTOError("unreachable", "the gateway does not answer"));
  assert.equal(submit.state.error.code, "unreachable");
  submit.mutate(REQUEST);
  await answer({ jobId: "one" });
  submit.mutate(REQUEST);
  submit.mutate({ ...REQUEST, buyAmount: 2 });
  const [first, repeated, second, other] = keys();
  assert.equal(first, repeated);
  assert.equal(new Set([first, second, other]).size, 3);
});

test("the state is that of the latest call", async () => {
  const { client, requests, answer } = fakeGateway();
  const cancel = cancellation(client);
  const shown = [];
  cancel.subscribe(() => shown.push(`${cancel.state.status} ${cancel.state.data?.jobId ?? ""}`));
  cancel.mutate("one");
  cancel.mutate("two");
  assert.deepEqual(requests.map(({ path }) => path), ["/api/cto/job/one/cancel", "/api/cto/job/two/cancel"]);
  await answer({ jobId: "one" });
  await answer({ jobId: "two" });
  assert.deepEqual(shown, ["pending ", "pending ", "success two"]);
  cancel.mutate("three");
  cancel.reset();
  await answer({ jobId: "three" });
  assert.equal(cancel.state.status, "idle");
});
