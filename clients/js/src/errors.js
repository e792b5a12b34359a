/** @typedef {import("./types.js").Schemas["Error"]["code"]} GatewayErrorCode a code of the gateway; later versions may add codes */
/** @typedef {"unreachable" | "token_unavailable" | "invalid_options" | "closed"} ClientErrorCode a code of this package */
/** @typedef {GatewayErrorCode | ClientErrorCode} ErrorCode */

/**
 * A failed request, connection or subscription. `code` is the gateway's stable code, or one of the client's own:
 * `unreachable` (no response), `token_unavailable` (the `token` function failed), `invalid_options` (bad arguments of
 * `connect`), `closed` (the client is closed).
 */
export class CTOError extends Error {
  name = "CTOError";
  /** @type {number | undefined} HTTP status of the response, if there was one */ status;
  /** @type {{ fields?: Record<string, unknown> } | undefined} what is wrong with the request, by field */ details;
  /** @type {number | undefined} earliest time of a retry, in ms from now */ retryAfterMs;

  /** @param {ErrorCode} code @param {string} message @param {Partial<CTOError>} [properties] */
  constructor(code, message, properties) {
    super(message);
    this.code = code;
    Object.assign(this, properties);
  }
}

/** Return the error for a request without a response. */
export const unreachable = () => new CTOError("unreachable", "the gateway does not answer");

const TRANSIENT = /^(unreachable|busy|rate_limited|going_away|too_many_.*|.*_unavailable)$/;

/** Return whether a later retry may succeed. An error without a code happened before the request was sent. @param {CTOError} error */
export const isTransient = ({ code }) => !code || TRANSIENT.test(code);

/** Return whether the caller has reached a limit. A retry helps only after the caller released something. @param {CTOError} error */
export const isLimit = ({ code }) => /^too_many_/.test(code);

/** Return whether a new token may help. @param {CTOError} error */
export const isTokenExpired = ({ code }) => code === "token_expired" || code === "token_revoked";
