/**
 * What went wrong, with the gateway's stable code. The client's own are `unreachable` (no answer came), `token_unavailable`
 * (the function `token` failed), `invalid_options` (of `connect`) and `closed` (the client has been closed).
 */
export class CTOError extends Error {
  name = "CTOError";
  /** @type {number | undefined} of the HTTP answer, if it was one */ status;
  /** @type {{ fields?: Record<string, unknown> } | undefined} what is wrong with a request, by its fields */ details;
  /** @type {number | undefined} when to ask again */ retryAfterMs;

  /** @param {string} code @param {string} message @param {Partial<CTOError>} [more] */
  constructor(code, message, more) {
    super(message);
    this.code = code;
    Object.assign(this, more);
  }
}

/** No answer came. */
export const unreachable = () => new CTOError("unreachable", "the gateway does not answer");

const PASSING = /^(unreachable|busy|rate_limited|going_away|too_many_.*|.*_unavailable)$/;

/** Whether to ask again later may be answered otherwise; what has no code could not even be asked. @param {CTOError} error */
export const isTransient = ({ code }) => !code || PASSING.test(code);

/** Whether the gateway holds as much for this caller as it may: then asking again helps only once there is less. @param {CTOError} error */
export const isLimit = ({ code }) => /^too_many_/.test(code);

/** Whether another token may help. @param {CTOError} error */
export const isTokenExpired = ({ code }) => code === "token_expired" || code === "token_revoked";
