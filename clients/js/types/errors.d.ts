/** @typedef {import("./types.js").Schemas["Error"]["code"]} GatewayErrorCode a code of the gateway; later versions may add codes */
/** @typedef {"unreachable" | "token_unavailable" | "invalid_options" | "closed"} ClientErrorCode a code of this package */
/** @typedef {GatewayErrorCode | ClientErrorCode} ErrorCode */
export type GatewayErrorCode = import("./types.js").Schemas["Error"]["code"];
export type ClientErrorCode = "unreachable" | "token_unavailable" | "invalid_options" | "closed";
export type ErrorCode = GatewayErrorCode | ClientErrorCode;
/**
 * A failed request, connection or subscription. `code` is the gateway's stable code, or one of the client's own:
 * `unreachable` (no response), `token_unavailable` (the `token` function failed), `invalid_options` (bad arguments of
 * `connect`), `closed` (the client is closed).
 */
export declare class CTOError extends Error {
    code: ErrorCode;
    name: string;
    /** @type {number | undefined} HTTP status of the response, if there was one */ status: number | undefined;
    /** @type {{ fields?: Record<string, unknown> } | undefined} what is wrong with the request, by field */ details: {
        fields?: Record<string, unknown>;
    } | undefined;
    /** @type {number | undefined} earliest time of a retry, in ms from now */ retryAfterMs: number | undefined;
    /** @param {ErrorCode} code @param {string} message @param {Partial<CTOError>} [properties] */
    constructor(code: ErrorCode, message: string, properties?: Partial<CTOError>);
}
/** Return the error for a request without a response. */
export declare const unreachable: () => CTOError;
/** Return whether a later retry may succeed. An error without a code happened before the request was sent. @param {CTOError} error */
export declare const isTransient: ({ code }: CTOError) => boolean;
/** Return whether the caller has reached a limit. A retry helps only after the caller released something. @param {CTOError} error */
export declare const isLimit: ({ code }: CTOError) => boolean;
/** Return whether a new token may help. @param {CTOError} error */
export declare const isTokenExpired: ({ code }: CTOError) => boolean;
