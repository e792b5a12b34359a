import { CTOError, isRefusal, isStale } from "./errors.js";

const OPEN_TIMEOUT_MS = 5_000;
const BRIEF_MS = 3_000; // a connection that lasts no longer does not work, whatever it said
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;
const FIRST_CLIMB_MS = 30_000;
const LONGEST_CLIMB_MS = 300_000;

/**
 * @typedef {import("./types.js").Handlers & {
 *   opened: () => void,
 *   connection: (connection: import("./types.js").Connection) => void,
 * }} LinkHandlers
 */

/**
 * Keeps one connection open, by the highest rung that works: steps down when one fails, and tries those above again
 * and again. Whoever uses it asks anew for everything whenever it has `opened`; so nothing is lost in between.
 */
export class Ladder {
  /** @type {import("./types.js").Connection} */ #connection = { state: "idle", via: null, error: null };
  /** @type {import("./types.js").Session | undefined} */ #session;
  /** @type {AbortController | undefined} */ #ends; // of the session
  /** @type {(ended: CTOError | number) => void} */ #end = () => {};
  /** @type {() => void} */ #wake = () => {};
  #rungs;
  #url;
  #rest;
  #token;
  #on;

  /**
   * @param {readonly import("./types.js").Rung[]} rungs the best first
   * @param {string} url
   * @param {import("./rest.js").Rest} rest
   * @param {LinkHandlers} on
   */
  constructor(rungs, url, rest, on) {
    this.#rungs = rungs;
    this.#url = url;
    this.#rest = rest;
    this.#token = rest.token;
    this.#on = on;
    this.reconnect = this.reconnect.bind(this);
    globalThis.addEventListener?.("online", this.reconnect);
    void this.#run();
  }

  get isOpen() {
    return this.#session !== undefined;
  }

  get connection() {
    return this.#connection;
  }

  /** @param {string} room */
  join(room) { this.#session?.join(room); }

  /** @param {string} room */
  leave(room) { this.#session?.leave(room); }

  /** @param {string} jobId @param {number} after */
  follow(jobId, after) { this.#session?.follow(jobId, after); }

  /** @param {string} jobId @param {number} after */
  catchUp(jobId, after) { this.#session?.catchUp(jobId, after); }

  /** @param {string} token */
  refresh(token) { this.#session?.refresh(token); }

  /** Try again now, also after a refusal. */
  reconnect() {
    this.#wake();
  }

  close() {
    if (this.#connection.state === "closed") return;
    this.#tell("closed", null, null);
    globalThis.removeEventListener?.("online", this.reconnect);
    this.#wake();
    this.#end(new CTOError("closed", "closed"));
    this.#hangUp();
  }

  get #closed() {
    return this.#connection.state === "closed";
  }

  async #run() {
    let level = 0;
    let isOpen = false;
    let failed = 0; // rungs, one after another
    let renewed = false; // whether the token was replaced since anything worked
    let retryMs = FIRST_RETRY_MS;
    this.#tell("connecting", null, null);
    while (!this.#closed) {
      let error;
      try {
        if (!isOpen) await this.#open(level);
        const begunMs = Date.now();
        const ended = await this.#stay(level);
        isOpen = typeof ended === "number";
        if (typeof ended === "number") {
          level = ended;
          continue;
        }
        this.#hangUp();
        error = ended;
        if (!this.#closed) this.#tell("connecting", null, error);
        if (Date.now() - begunMs >= BRIEF_MS) {
          failed = 0;
          renewed = false;
          retryMs = FIRST_RETRY_MS;
          if (!isRefusal(error)) continue;
        }
      } catch (cause) {
        error = /** @type {CTOError} */ (cause);
      }
      if (this.#closed) return;
      if (isStale(error) && this.#token.renewable && !renewed) {
        renewed = true;
        await this.#token.renew().catch(() => {});
      } else if (isRefusal(error)) {
        this.#tell("refused", null, error);
        await this.#pause(2 ** 31 - 1);
        renewed = false;
        this.#tell("connecting", null, null);
      } else {
        level = (level + 1) % this.#rungs.length;
        failed += 1;
        if (failed % this.#rungs.length) continue;
        this.#tell("waiting", null, error);
        await this.#pause(Math.max(error.retryAfterMs ?? 0, retryMs * (0.5 + Math.random() / 2)));
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  }

  /**
   * Open a connection by one rung, in place of what there was.
   *
   * @param {number} level
   */
  async #open(level) {
    const rung = this.#rungs[level];
    const ends = new AbortController();
    let open = true;
    /** @param {CTOError} error */
    const closed = (error) => {
      open = false;
      if (this.#ends === ends) this.#end(error);
    };
    /** @type {any} */ const on = {};
    for (const name of /** @type {(keyof import("./types.js").Handlers)[]} */ (["event", "joined", "resumed", "gap", "refused"])) {
      on[name] = (/** @type {any[]} */ ...told) => {
        if (this.#ends === ends) /** @type {any} */ (this.#on[name])(...told);
      };
    }
    const token = await this.#token.get();
    const session = await withTimeout(
      rung.open({ url: this.#url, token, rest: this.#rest, on, closed, signal: ends.signal }), ends,
    );
    if (this.#closed || !open) {
      ends.abort();
      throw new CTOError("unreachable", "the connection was closed at once");
    }
    this.#hangUp();
    this.#session = session;
    this.#ends = ends;
    this.#tell("live", rung.name, null);
    this.#on.opened();
  }

  /**
   * Stay connected by this rung, and try those above it from time to time.
   *
   * @param {number} level
   * @returns {Promise<CTOError | number>} why it has ended, or the rung that is used now
   */
  async #stay(level) {
    const ended = new Promise((resolve) => { this.#end = resolve; });
    let climbMs = FIRST_CLIMB_MS;
    let over = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
    const climb = async () => {
      for (let higher = 0; higher < level && !over; higher += 1) {
        try {
          await this.#open(higher);
          this.#end(higher);
          over = true;
        } catch { /* as before, then */ }
      }
      climbMs = Math.min(climbMs * 2, LONGEST_CLIMB_MS);
      if (!over) timer = setTimeout(climb, climbMs);
    };
    if (level > 0) timer = setTimeout(climb, climbMs);
    const result = await ended;
    over = true;
    clearTimeout(timer);
    return /** @type {CTOError | number} */ (result);
  }

  #hangUp() {
    const [session, ends] = [this.#session, this.#ends];
    this.#session = this.#ends = undefined;
    ends?.abort();
    session?.close();
  }

  /** @param {import("./types.js").Connection["state"]} state @param {string | null} via @param {CTOError | null} error */
  #tell(state, via, error) {
    this.#connection = { state, via, error };
    this.#on.connection(this.#connection);
  }

  /** @param {number} ms */
  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
  }
}

/**
 * @template T
 * @param {Promise<T>} opening
 * @param {AbortController} ends
 * @returns {Promise<T>}
 */
function withTimeout(opening, ends) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      ends.abort();
      reject(new CTOError("unreachable", "the gateway does not answer in time"));
    }, OPEN_TIMEOUT_MS);
    opening.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
