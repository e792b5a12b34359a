import { CTOError, isLimit, isPassing, isStale, unreachable } from "./errors.js";

const OPEN_TIMEOUT_MS = 5_000;
const BRIEF_MS = 3_000; // a connection that lasts no longer does not work, whatever it said
const LIMITED_ROUNDS = 10; // in which no rung gets past a limit, about a minute; then an application must decide
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;
const FIRST_CLIMB_MS = 30_000;
const LONGEST_CLIMB_MS = 300_000;
const FOREVER_MS = 2 ** 31 - 1;

/** @typedef {import("./types.js").Told | ["opened"] | ["connection", import("./types.js").Connection]} LinkTold */

/**
 * Keeps one connection open, by the highest rung that works: steps down when one fails, and tries those above again
 * and again. Whoever uses it asks anew for everything whenever it has `opened`; so nothing is lost in between.
 */
export class Ladder {
  isOpen = false;
  /** @type {import("./types.js").Session | undefined} */ #session;
  /** @type {AbortController | undefined} */ #ends; // of the session
  /** @type {(ended: CTOError | number) => void} */ #end = () => {};
  /** @type {() => void} */ #wake = () => {};
  #closed = false;
  #level = 0; // of the rung in use
  #rungs;
  #rest;
  #tell;

  /**
   * @param {readonly import("./types.js").Rung[]} rungs the best first
   * @param {import("./rest.js").Rest} rest
   * @param {(...told: LinkTold) => void} tell
   */
  constructor(rungs, rest, tell) {
    this.#rungs = rungs;
    this.#rest = rest;
    this.#tell = tell;
    globalThis.addEventListener?.("online", this.reconnect);
    void this.#run();
  }

  /** @param {import("./types.js").Asked} asked */
  ask(...[verb, ...about]) {
    /** @type {any} */ (this.#session)?.[verb](...about);
  }

  /** Open a new connection now, also after a refusal: that there is none, or that it is dead, is not always noticed. */
  reconnect = () => {
    this.#hangUp();
    this.#wake();
    this.#end(this.#level);
  };

  close() {
    this.#closed = true;
    globalThis.removeEventListener?.("online", this.reconnect);
    this.#wake();
    this.#end(new CTOError("closed", ""));
    this.#hangUp();
  }

  async #run() {
    let failed = 0; // rungs, one after another
    let renewed = false; // whether the token was replaced since anything worked
    let retryMs = FIRST_RETRY_MS;
    this.#show("connecting");
    while (!this.#closed) {
      let error;
      try {
        if (!this.isOpen) await this.#open(this.#level);
        const begunMs = Date.now();
        const ended = await this.#stay(this.#level);
        if (typeof ended === "number") {
          this.#level = ended;
          continue;
        }
        this.#hangUp();
        error = ended;
        this.#show("connecting", error);
        if (Date.now() - begunMs >= BRIEF_MS && !isLimit(error)) {
          failed = 0;
          renewed = false;
          retryMs = FIRST_RETRY_MS;
          if (isPassing(error)) continue;
        }
      } catch (cause) {
        error = /** @type {CTOError} */ (cause);
      }
      if (this.#closed) return;
      if (isStale(error) && this.#rest.token.renewable && !renewed) {
        renewed = true;
        await this.#rest.token.renew().catch(() => {});
      } else if (!isPassing(error) || (isLimit(error) && failed >= LIMITED_ROUNDS * this.#rungs.length)) {
        this.#show("refused", error);
        await this.#pause(FOREVER_MS);
        failed = 0;
        renewed = false;
        this.#show("connecting");
      } else {
        this.#level = (this.#level + 1) % this.#rungs.length;
        failed += 1;
        if (failed % this.#rungs.length) continue;
        this.#show("waiting", error);
        await this.#pause(Math.max(error.retryAfterMs ?? 0, retryMs * (0.5 + Math.random() / 2)));
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  }

  /** Open a connection by one rung, in place of what there was. @param {number} level */
  async #open(level) {
    const rung = this.#rungs[level];
    const ends = new AbortController();
    const isCurrent = () => this.#ends === ends;
    const token = await this.#rest.token.get();
    /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
    const session = await new Promise((/** @type {(session: import("./types.js").Session) => void} */ resolve, reject) => {
      /** @param {CTOError} error */
      const closed = (error) => {
        reject(error);
        if (isCurrent()) this.#end(error);
      };
      timer = setTimeout(() => {
        ends.abort();
        reject(unreachable());
      }, OPEN_TIMEOUT_MS);
      const tell = (/** @type {import("./types.js").Told} */ ...told) => { if (isCurrent()) this.#tell(...told); };
      rung.open({ url: this.#rest.url, token, rest: this.#rest, tell, closed, signal: ends.signal }).then(resolve, reject);
    }).finally(() => clearTimeout(timer));
    if (this.#closed) {
      session.close();
      throw new CTOError("closed", "");
    }
    this.#hangUp();
    this.#session = session;
    this.#ends = ends;
    this.isOpen = true;
    this.#show("live", null, rung.name);
    this.#tell("opened");
  }

  /**
   * Stay connected by this rung, and try those above it from time to time.
   *
   * @param {number} level
   * @returns {Promise<CTOError | number>} why it has ended, or the rung that is used now
   */
  async #stay(level) {
    let climbMs = FIRST_CLIMB_MS;
    let over = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
    const climb = async () => {
      for (let higher = 0; higher < level && !over; higher += 1) {
        try {
          await this.#open(higher);
          this.#end(higher);
          return;
        } catch { /* as before, then */ }
      }
      climbMs = Math.min(climbMs * 2, LONGEST_CLIMB_MS);
      if (!over) timer = setTimeout(climb, climbMs);
    };
    if (level) timer = setTimeout(climb, climbMs);
    const ended = await new Promise((/** @type {(ended: CTOError | number) => void} */ resolve) => { this.#end = resolve; });
    over = true;
    clearTimeout(timer);
    return ended;
  }

  #hangUp() {
    this.#ends?.abort();
    this.#session?.close();
    this.#session = this.#ends = undefined;
    this.isOpen = false;
  }

  /** @param {import("./types.js").Connection["state"]} state @param {CTOError | null} [error] @param {string | null} [via] */
  #show(state, error = null, via = null) {
    if (!this.#closed) this.#tell("connection", { state, via, error });
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
