import { CTOError } from "./errors.js";

const RENEWAL_MARGIN_MS = 60_000; // before expiry
const RENEWAL_SHARE = 0.2; // of the remaining lifetime; the margin of short-lived tokens
const RETRY_MS = 5_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Return the claims of a token without verifying them; the gateway verifies them.
 *
 * @param {string | undefined} token
 * @returns {{ sub?: string, role?: string, exp?: number }} empty if the text is not a JWT
 */
export function claimsOf(token) {
  try {
    const [, payload] = /** @type {string} */ (token).split(".");
    return JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))); // a user's id is ASCII
  } catch {
    return {};
  }
}

/**
 * Return a token. Throws if it contains a character that no token has (RFC 6750, section 2.1); the message never contains the token.
 *
 * @param {string | undefined} token
 */
function checked(token) {
  const [other] = /[^\w.~+/=-]/.exec(token ?? "") ?? [];
  if (other) throw new CTOError("invalid_options", `token contains ${JSON.stringify(other)}: pass one JSON Web Token, without quotes, spaces, line breaks or HTML`);
  return token;
}

/** The current access token. If its source is a function, it is renewed before it expires. */
export class Token {
  /** @type {string | undefined} */ #current;
  /** @type {Promise<string | undefined> | undefined} */ #renewal;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #source;
  #onRenewed;

  /**
   * @param {string | (() => string | Promise<string>) | undefined} source
   * @param {(token: string) => void} onRenewed called with each token after the first
   */
  constructor(source, onRenewed) {
    this.#source = typeof source === "function" ? source : checked(source);
    this.#onRenewed = onRenewed;
  }

  /** Whether the source can return another token. */
  get renewable() {
    return typeof this.#source === "function";
  }

  /** Return the token, and get a new one if there is no valid one. Rejects with `token_unavailable`. */
  async get() {
    const { exp } = claimsOf(this.#current);
    if (this.#current && (exp === undefined || exp * 1000 > Date.now())) return this.#current;
    return this.renew();
  }

  /** Get a new token now. Concurrent calls share one renewal. */
  renew() {
    this.#renewal ??= this.#load().finally(() => { this.#renewal = undefined; });
    return this.#renewal;
  }

  close() {
    clearTimeout(this.#timer);
  }

  async #load() {
    if (typeof this.#source !== "function") return this.#source;
    const isFirst = this.#current === undefined;
    let token;
    try {
      token = /** @type {string} */ (checked(await this.#source()));
    } catch (cause) {
      throw new CTOError("token_unavailable", `the token function failed: ${cause instanceof Error ? cause.message : cause}`);
    }
    this.#current = token;
    this.#scheduleRenewal();
    if (!isFirst) this.#onRenewed(token);
    return token;
  }

  #scheduleRenewal() {
    const { exp } = claimsOf(this.#current);
    clearTimeout(this.#timer);
    if (exp === undefined) return;
    const leftMs = exp * 1000 - Date.now();
    const waitMs = leftMs - Math.min(RENEWAL_MARGIN_MS, leftMs * RENEWAL_SHARE);
    if (waitMs > LONGEST_TIMER_MS) return;
    this.#timer = setTimeout(() => this.renew().catch(() => {
      this.#timer = setTimeout(() => this.renew().catch(() => {}), RETRY_MS);
    }), Math.max(0, waitMs));
  }
}
