import { CTOError } from "./errors.js";

const MARGIN_MS = 60_000; // how long before its end a token is replaced; for one that lasts shorter, see below
const SHORT = 0.2; // of what is left of it
const RETRY_MS = 5_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * What a token says of itself. Nothing is verified: that is the gateway's business.
 *
 * @param {string | undefined} token
 * @returns {{ sub?: string, role?: string, exp?: number }} empty for what is no JWT
 */
export function claimsOf(token) {
  try {
    const [, payload] = /** @type {string} */ (token).split(".");
    return JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))); // a user's id is ASCII
  } catch {
    return {};
  }
}

/** The token to show, replaced before it ends when there is somebody to ask for another. */
export class Token {
  /** @type {string | undefined} */ #current;
  /** @type {Promise<string | undefined> | undefined} */ #asking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #source;
  #onRenewed;

  /**
   * @param {string | (() => string | Promise<string>) | undefined} source
   * @param {(token: string) => void} onRenewed called with each token after the first
   */
  constructor(source, onRenewed) {
    this.#source = source;
    this.#onRenewed = onRenewed;
  }

  /** Whether there can be another one. */
  get renewable() {
    return typeof this.#source === "function";
  }

  /** The token, asked for when there is none or it has ended. Rejects with `token_unavailable`. */
  async get() {
    const { exp } = claimsOf(this.#current);
    if (this.#current && (exp === undefined || exp * 1000 > Date.now())) return this.#current;
    return this.renew();
  }

  /** Another token, asked for now; those who ask at once get the same. */
  renew() {
    this.#asking ??= this.#ask().finally(() => { this.#asking = undefined; });
    return this.#asking;
  }

  close() {
    clearTimeout(this.#timer);
  }

  async #ask() {
    if (typeof this.#source !== "function") return this.#source;
    const isFirst = this.#current === undefined;
    let token;
    try {
      token = await this.#source();
    } catch (cause) {
      throw new CTOError("token_unavailable", `no token could be had: ${cause instanceof Error ? cause.message : cause}`);
    }
    this.#current = token;
    this.#renewInTime();
    if (!isFirst) this.#onRenewed(token);
    return token;
  }

  #renewInTime() {
    const { exp } = claimsOf(this.#current);
    clearTimeout(this.#timer);
    if (exp === undefined) return;
    const leftMs = exp * 1000 - Date.now();
    const waitMs = leftMs - Math.min(MARGIN_MS, leftMs * SHORT);
    if (waitMs > LONGEST_TIMER_MS) return;
    this.#timer = setTimeout(() => this.renew().catch(() => {
      this.#timer = setTimeout(() => this.renew().catch(() => {}), RETRY_MS);
    }), Math.max(0, waitMs));
  }
}
