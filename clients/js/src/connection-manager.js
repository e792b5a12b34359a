import { CTOError, isLimit, isTransient, isTokenExpired, unreachable } from "./errors.js";

const OPEN_TIMEOUT_MS = 5_000;
const BRIEF_MS = 3_000; // a connection that lasts no longer does not work, whatever it said
const LIMITED_ROUNDS = 10; // in which no transport gets past a limit, about a minute; then an application must decide
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;
const FIRST_UPGRADE_MS = 30_000;
const LONGEST_UPGRADE_MS = 300_000;
const FOREVER_MS = 2 ** 31 - 1;

/** @typedef {import("./types.js").ServerMessage | ["opened"] | ["connection", import("./types.js").Connection]} LinkMessage */

/**
 * Keeps one connection open, by the highest transport that works: steps down when one fails, and tries those above again
 * and again. Whoever uses it asks anew for everything whenever it has `opened`; so nothing is lost in between.
 */
export class ConnectionManager {
  isOpen = false;
  /** @type {import("./types.js").Session | undefined} */ #session;
  /** @type {AbortController | undefined} */ #ends; // of the session
  /** @type {(ended: CTOError | number) => void} */ #end = () => {};
  /** @type {() => void} */ #wake = () => {};
  #closed = false;
  #level = 0; // of the transport in use
  #transports;
  #rest;
  #tell;

  /**
   * @param {readonly import("./types.js").Transport[]} transports the best first
   * @param {import("./rest.js").Rest} rest
   * @param {(...told: LinkMessage) => void} tell
   */
  constructor(transports, rest, tell) {
    this.#transports = transports;
    this.#rest = rest;
    this.#tell = tell;
    globalThis.addEventListener?.("online", this.reconnect);
    void this.#run();
  }

  /** @param {import("./types.js").ClientCommand} asked */
  ask(...[verb, ...about]) {
    /** @type {any} */ (this.#session)?.[verb](...about);
  }

  /** Open a new connection now, also after a refusal: that there is none, or that it is dead, is not always noticed. */
  reconnect = () => {
    this.#disconnect();
    this.#wake();
    this.#end(this.#level);
  };

  close() {
    this.#closed = true;
    globalThis.removeEventListener?.("online", this.reconnect);
    this.#wake();
    this.#end(new CTOError("closed", ""));
    this.#disconnect();
  }

  async #run() {
    let failed = 0; // transports, one after another
    let renewed = false; // whether the token was replaced since anything worked
    let retryMs = FIRST_RETRY_MS;
    this.#show("connecting");
    while (!this.#closed) {
      let error;
      try {
        if (!this.isOpen) await this.#open(this.#level);
        const begunMs = Date.now();
        const ended = await this.#holdOpen(this.#level);
        if (typeof ended === "number") {
          this.#level = ended;
          continue;
        }
        this.#disconnect();
        error = ended;
        this.#show("connecting", error);
        if (Date.now() - begunMs >= BRIEF_MS && !isLimit(error)) {
          failed = 0;
          renewed = false;
          retryMs = FIRST_RETRY_MS;
          if (isTransient(error)) continue;
        }
      } catch (cause) {
        error = /** @type {CTOError} */ (cause);
      }
      if (this.#closed) return;
      if (isTokenExpired(error) && this.#rest.token.renewable && !renewed) {
        renewed = true;
        await this.#rest.token.renew().catch(() => {});
      } else if (!isTransient(error) || (isLimit(error) && failed >= LIMITED_ROUNDS * this.#transports.length)) {
        this.#show("refused", error);
        await this.#pause(FOREVER_MS);
        failed = 0;
        renewed = false;
        this.#show("connecting");
      } else {
        this.#level = (this.#level + 1) % this.#transports.length;
        failed += 1;
        if (failed % this.#transports.length) continue;
        this.#show("waiting", error);
        await this.#pause(Math.max(error.retryAfterMs ?? 0, retryMs * (0.5 + Math.random() / 2)));
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  }

  /** Open a connection by one transport, in place of what there was. @param {number} level */
  async #open(level) {
    const transport = this.#transports[level];
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
      const tell = (/** @type {import("./types.js").ServerMessage} */ ...told) => { if (isCurrent()) this.#tell(...told); };
      transport.open({ url: this.#rest.url, token, rest: this.#rest, tell, closed, signal: ends.signal }).then(resolve, reject);
    }).finally(() => clearTimeout(timer));
    if (this.#closed) {
      session.close();
      throw new CTOError("closed", "");
    }
    this.#disconnect();
    this.#session = session;
    this.#ends = ends;
    this.isOpen = true;
    this.#show("live", null, transport.name);
    this.#tell("opened");
  }

  /**
   * Stay connected by this transport, and try those above it from time to time.
   *
   * @param {number} level
   * @returns {Promise<CTOError | number>} why it has ended, or the transport that is used now
   */
  async #holdOpen(level) {
    let upgradeMs = FIRST_UPGRADE_MS;
    let over = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
    const upgrade = async () => {
      for (let higher = 0; higher < level && !over; higher += 1) {
        try {
          await this.#open(higher);
          this.#end(higher);
          return;
        } catch { /* as before, then */ }
      }
      upgradeMs = Math.min(upgradeMs * 2, LONGEST_UPGRADE_MS);
      if (!over) timer = setTimeout(upgrade, upgradeMs);
    };
    if (level) timer = setTimeout(upgrade, upgradeMs);
    const ended = await new Promise((/** @type {(ended: CTOError | number) => void} */ resolve) => { this.#end = resolve; });
    over = true;
    clearTimeout(timer);
    return ended;
  }

  #disconnect() {
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
