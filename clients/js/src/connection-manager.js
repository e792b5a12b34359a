import { CTOError, isLimit, isTokenExpired, isTransient, unreachable } from "./errors.js";

const OPEN_TIMEOUT_MS = 5_000;
const BRIEF_MS = 3_000; // a connection that does not last longer counts as a failure of its transport
const LIMITED_ROUNDS = 10; // after this many rounds (about a minute) in which limits refused every transport, wait for `reconnect()`
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;
const FIRST_UPGRADE_MS = 30_000;
const LONGEST_UPGRADE_MS = 300_000;
const FOREVER_MS = 2 ** 31 - 1;

/** @typedef {import("./types.js").ServerMessage | ["opened" | "left"] | ["connection", import("./types.js").Connection]} ConnectionMessage */

/**
 * Keeps one connection open with the best transport that works. If a transport fails, it tries the next one, and later
 * the better ones again. After each `opened` message the code that uses this class must send all commands again,
 * so that no event is lost. After each `left` message the connection is in one room less.
 */
export class ConnectionManager {
  isOpen = false;
  /** @type {import("./types.js").Session | undefined} */ #session;
  /** @type {AbortController | undefined} */ #aborter; // aborts the session
  /** @type {(reason: CTOError | number) => void} */ #end = () => {}; // resolves the promise in `#holdOpen`
  /** @type {() => void} */ #wake = () => {}; // ends `#pause`
  #closed = false;
  #level = 0; // index of the transport in use
  #transports;
  #rest;
  #emit;

  /**
   * @param {readonly import("./types.js").Transport[]} transports the best one first
   * @param {import("./rest.js").Rest} rest
   * @param {(...message: ConnectionMessage) => void} emit
   */
  constructor(transports, rest, emit) {
    this.#transports = transports;
    this.#rest = rest;
    this.#emit = emit;
    globalThis.addEventListener?.("online", this.reconnect);
    void this.#run();
  }

  /** Send a command, if the connection is open. @param {import("./types.js").ClientCommand} command */
  send(...[name, ...args]) {
    /** @type {any} */ (this.#session)?.[name](...args);
    if (name === "leave") this.#emit("left");
  }

  /** Open a new connection now, also after a refusal. The old one may be dead although no error was reported. */
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
    let failed = 0; // consecutive failed attempts
    let limited = 0; // of these: consecutive ones that reached a limit
    let renewed = false; // whether the token was renewed since the last success
    let retryMs = FIRST_RETRY_MS;
    const reset = () => {
      failed = limited = 0;
      renewed = false;
      retryMs = FIRST_RETRY_MS;
    };
    this.#show("connecting");
    while (!this.#closed) {
      let error;
      try {
        if (!this.isOpen) await this.#open(this.#level);
        const startMs = Date.now();
        const reason = await this.#holdOpen(this.#level);
        const lasted = Date.now() - startMs >= BRIEF_MS;
        if (lasted) reset();
        if (typeof reason === "number") {
          this.#level = reason;
          continue;
        }
        this.#disconnect();
        error = reason;
        this.#show("connecting", error);
        if (lasted && isTransient(error) && !isLimit(error)) continue;
      } catch (cause) {
        error = /** @type {CTOError} */ (cause);
      }
      if (this.#closed) return;
      limited = isLimit(error) ? limited + 1 : 0;
      if (isTokenExpired(error) && this.#rest.token.renewable && !renewed) {
        renewed = true;
        await this.#rest.token.renew().catch(() => {});
      } else if (!isTransient(error) || limited >= LIMITED_ROUNDS * this.#transports.length) {
        this.#show("refused", error);
        await this.#pause(FOREVER_MS);
        reset();
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

  /** Open a connection with one transport. It replaces the current one. @param {number} level */
  async #open(level) {
    const transport = this.#transports[level];
    const aborter = new AbortController();
    const isCurrent = () => this.#aborter === aborter;
    const token = await this.#rest.token.get();
    /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
    const session = await new Promise((/** @type {(session: import("./types.js").Session) => void} */ resolve, reject) => {
      /** @param {CTOError} error */
      const onClosed = (error) => {
        reject(error);
        if (isCurrent()) this.#end(error);
      };
      timer = setTimeout(() => {
        aborter.abort();
        if (!this.isOpen) this.#show("waiting", unreachable()); // the other transports may take as long
        reject(unreachable());
      }, OPEN_TIMEOUT_MS);
      const emit = (/** @type {import("./types.js").ServerMessage} */ ...message) => { if (isCurrent()) this.#emit(...message); };
      const current = this.#session;
      transport.open({ url: this.#rest.url, token, rest: this.#rest, current, emit, onClosed, signal: aborter.signal }).then(resolve, reject);
    }).finally(() => clearTimeout(timer));
    if (this.#closed) {
      session.close();
      throw new CTOError("closed", "");
    }
    this.#disconnect();
    this.#session = session;
    this.#aborter = aborter;
    this.isOpen = true;
    this.#show("live", null, transport.name);
    this.#emit("opened");
  }

  /**
   * Keep the connection open, and try the better transports from time to time.
   *
   * @param {number} level
   * @returns {Promise<CTOError | number>} why the connection ended, or the level of a new connection
   */
  async #holdOpen(level) {
    let upgradeMs = FIRST_UPGRADE_MS;
    let isOver = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
    const upgrade = async () => {
      for (let better = 0; better < level && !isOver; better += 1) {
        try {
          await this.#open(better);
          this.#end(better);
          return;
        } catch { /* keep the current connection */ }
      }
      upgradeMs = Math.min(upgradeMs * 2, LONGEST_UPGRADE_MS);
      if (!isOver) timer = setTimeout(upgrade, upgradeMs);
    };
    if (level) timer = setTimeout(upgrade, upgradeMs);
    const reason = await new Promise((/** @type {(reason: CTOError | number) => void} */ resolve) => { this.#end = resolve; });
    isOver = true;
    clearTimeout(timer);
    return reason;
  }

  #disconnect() {
    this.#aborter?.abort();
    this.#session?.close();
    this.#session = this.#aborter = undefined;
    this.isOpen = false;
  }

  /** @param {import("./types.js").Connection["state"]} state @param {CTOError | null} [error] @param {string | null} [via] */
  #show(state, error = null, via = null) {
    if (!this.#closed) this.#emit("connection", { state, via, error });
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
