import { CTOError, isTokenExpired, isTransient, unreachable } from "./errors.js";

const ATTEMPTS = 6;
const TIMEOUT_MS = 10_000; // until the response begins: after a sleep a browser may reuse a dead connection
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 8_000;

/** @typedef {{ body?: unknown, headers?: Record<string, string>, signal?: AbortSignal }} RequestOptions */

/** The gateway's REST API. Every failure rejects with a {@link CTOError}. */
export class Rest {
  /**
   * @param {string} url
   * @param {import("./token.js").Token} token
   */
  constructor(url, token) {
    this.url = url;
    this.token = token;
  }

  /**
   * Send a request and return the successful `Response`. An expired token is renewed once.
   *
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   */
  async fetch(method, path, { body, headers = {}, signal } = {}) {
    for (let renewed = false; ; renewed = true) {
      const token = await this.token.get();
      let response;
      try {
        response = await respond(this.url + path, {
          method,
          signal,
          body: JSON.stringify(body),
          headers: {
            ...(body ? { "Content-Type": "application/json" } : {}),
            ...(token && { Authorization: `Bearer ${token}` }),
            ...headers,
          },
        });
      } catch (cause) {
        response = cause instanceof TypeError && await refusal(this.url);
        if (!response) throw unreachable();
      }
      if (response.ok) return response;
      const error = await errorOf(response);
      if (renewed || !isTokenExpired(error) || !this.token.renewable) throw error;
      await this.token.renew();
    }
  }

  /**
   * Send a request and return the `data` of the response.
   *
   * @template T
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<T>}
   */
  async request(method, path, options) {
    const response = await this.fetch(method, path, options);
    try {
      return (await response.json()).data;
    } catch {
      throw unreachable();
    }
  }

  /**
   * Like {@link request}, with retries for up to half a minute while the gateway or its store is unavailable. Only for
   * requests that are idempotent.
   *
   * @template T
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<T>}
   */
  async requestWithRetry(method, path, options) {
    for (let attempt = 1, retryMs = FIRST_RETRY_MS; ; attempt += 1, retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS)) {
      try {
        return await this.request(method, path, options);
      } catch (cause) {
        const error = /** @type {CTOError} */ (cause);
        if (!isTransient(error) || attempt === ATTEMPTS) throw error;
        const waitMs = error.retryAfterMs ?? retryMs;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }
}

/** Return a path with the parameters that have a value; false and 0 are values. @param {string} path @param {object} parameters */
export const withQuery = (path, parameters) =>
  `${path}?${new URLSearchParams(Object.entries(parameters).filter(([, value]) => (value ?? "") !== ""))}`;

/** Return a new key for `Idempotency-Key`. A page without a secure context has no `randomUUID`. */
export const newIdempotencyKey = () => globalThis.crypto?.randomUUID?.() ?? Date.now() + Math.random().toString(36);

/**
 * Like `fetch`, and reject if the response does not begin in time.
 *
 * @param {string} address
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
function respond(address, options) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  const timeout = new Promise((/** @type {(never: never) => void} */ _, reject) => { timer = setTimeout(reject, TIMEOUT_MS); });
  return Promise.race([fetch(address, options), timeout]).finally(() => clearTimeout(timer));
}

/**
 * Return the gateway's refusal of this page, if it refuses its origin. A browser hides the response to a preflight request, but
 * not the one to a request without headers: every page may read a refusal.
 *
 * @param {string} url
 */
async function refusal(url) {
  if ((globalThis.location?.origin ?? url) === url) return undefined;
  const response = await respond(`${url}/api/cto/jobs?limit=1`).catch(() => {});
  return response?.status === 403 && response;
}

/** @param {Response} response */
async function errorOf(response) {
  const retryAfterMs = Number(response.headers.get("Retry-After")) * 1000 || undefined;
  let error;
  try {
    ({ error } = await response.json());
  } catch { /* the response is from a proxy, not from the gateway */ }
  const { code = "unreachable", message = `HTTP ${response.status}`, details } = error ?? {};
  return new CTOError(code, message, { status: response.status, details, retryAfterMs });
}
