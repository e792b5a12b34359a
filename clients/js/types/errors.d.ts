/**
 * A failed request, connection or subscription. `code` is the gateway's stable code, or one of the client's own:
 * `unreachable` (no response), `token_unavailable` (the `token` function failed), `invalid_options` (bad arguments of
 * `connect`), `closed` (the client is closed).
 */
export declare class CTOError extends Error {
    code: string;
    name: string;
    /** @type {number | undefined} HTTP status of the response, if there was one */ status: number | undefined;
    /** @type {{ fields?: Record<string, unknown> } | undefined} what is wrong with the request, by field */ details: {
        fields?: Record<string, unknown>;
    } | undefined;
    /** @type {number | undefined} earliest time of a retry, in ms from now */ retryAfterMs: number | undefined;
    /** @param {string} code @param {string} message @param {Partial<CTOError>} [properties] */
    constructor(code: string, message: string, properties?: Partial<CTOError>);
}
/** Return the error for a request without a response. */
export declare const unreachable: () => CTOError;
/** Return whether a later retry may succeed. An error without a code happened before the request was sent. @param {CTOError} error */
export declare const isTransient: ({ code }: CTOError) => boolean;
/** Return whether the caller has reached a limit. A retry helps only after the caller released something. @param {CTOError} error */
export declare const isLimit: ({ code }: CTOError) => boolean;
/** Return whether a new token may help. @param {CTOError} error */
export declare const isTokenExpired: ({ code }: CTOError) => boolean;
