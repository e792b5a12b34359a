/**
 * What went wrong, with the gateway's stable code. Two are the client's own: `unreachable`, no answer came, and
 * `token_unavailable`, whoever gets tokens has none.
 */
export class CTOError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ status?: number, details?: { fields?: Record<string, unknown> }, retryAfterMs?: number }} [more]
   */
  constructor(code, message, more = {}) {
    super(message);
    this.name = "CTOError";
    this.code = code;
    this.status = more.status;
    this.details = more.details;
    this.retryAfterMs = more.retryAfterMs;
  }
}

const REFUSALS = new Set([
  "unauthorized", "invalid_token", "token_expired", "token_revoked", "user_mismatch", "forbidden",
  "host_not_allowed", "origin_not_allowed",
]);
const PASSING = new Set([
  "unreachable", "token_unavailable", "store_unavailable", "keys_unavailable", "busy", "rate_limited", "too_many_connections",
]);

/** Whether to ask again, as things are, would be answered the same. @param {CTOError} error */
export const isRefusal = (error) => REFUSALS.has(error.code);

/** Whether to ask again later may well be answered. @param {CTOError} error */
export const isPassing = (error) => PASSING.has(error.code);

/** Whether another token may help. @param {CTOError} error */
export const isStale = (error) => error.code === "token_expired" || error.code === "token_revoked";
