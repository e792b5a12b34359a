import { Observable } from "./observable.js";
import { newIdempotencyKey } from "./rest.js";

/** @typedef {import("./errors.js").CTOError} CTOError */
/** @typedef {import("./types.js").OperationRequest} OperationRequest */
/** @typedef {import("./types.js").CreatedJob} CreatedJob */

/**
 * The state of the latest call.
 *
 * @template Data
 * @typedef {{ status: "idle" | "pending" | "success" | "error", data: Data | null, error: CTOError | null }} MutationState
 */

/** @type {MutationState<never>} */ const IDLE = { status: "idle", data: null, error: null };

/**
 * A call that changes something on the gateway, and its state.
 *
 * @template Variables, Data
 * @extends {Observable<MutationState<Data>>}
 */
export class Mutation extends Observable {
  /** @type {Map<string, Promise<Data>>} the running calls, by their argument */ #running = new Map();
  #calls = 0;
  #run;

  /** @param {(variables: Variables) => Promise<Data>} run */
  constructor(run) {
    super(/** @type {MutationState<Data>} */ (IDLE));
    this.#run = run;
  }

  /** Start a call. A rejection is only in the state. @param {Variables} variables */
  mutate = (variables) => void this.mutateAsync(variables).catch(() => {});

  /**
   * Start a call, and return its result. While a call with the same argument runs, e.g. after a double click, its promise is returned.
   *
   * @param {Variables} variables
   * @returns {Promise<Data>}
   */
  mutateAsync = (variables) => {
    const key = JSON.stringify(variables);
    const running = this.#running.get(key) ?? this.#start(variables).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    return running;
  };

  /** Forget the latest call. It is not stopped, but its result is not shown. */
  reset = () => {
    this.#calls += 1;
    this.set(/** @type {MutationState<Data>} */ (IDLE));
  };

  /** @param {Variables} variables */
  async #start(variables) {
    const call = (this.#calls += 1);
    const show = (/** @type {MutationState<Data>} */ state) => { if (call === this.#calls) this.set(state); };
    show({ status: "pending", data: null, error: null });
    try {
      const data = await this.#run(variables);
      show({ status: "success", data, error: null });
      return data;
    } catch (cause) {
      show({ status: "error", data: null, error: /** @type {CTOError} */ (cause) });
      throw cause;
    }
  }
}

/**
 * Return a mutation that starts operations. A request that failed, and is sent again without a change, keeps its idempotency key: if
 * the gateway had accepted it, e.g. before the connection was lost, it starts no second operation.
 *
 * @param {import("./client.js").Client} client
 * @returns {Mutation<OperationRequest, CreatedJob>}
 */
export function submission(client) {
  /** @type {Map<string, string>} the idempotency key of each request without a successful response */ const keys = new Map();
  return new Mutation(async (request) => {
    const body = JSON.stringify(request);
    const idempotencyKey = keys.get(body) ?? newIdempotencyKey();
    keys.set(body, idempotencyKey);
    const job = await client.submit(request, { idempotencyKey });
    keys.delete(body);
    return job;
  });
}

/** Return a mutation that cancels jobs. @param {import("./client.js").Client} client @returns {Mutation<string, import("./types.js").CancelRequested>} */
export const cancellation = (client) => new Mutation((jobId) => client.cancel(jobId));
