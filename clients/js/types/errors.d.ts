/**
 * What went wrong, with the gateway's stable code. The client's own are `unreachable` (no answer came), `token_unavailable`
 * (the function `token` failed), `invalid_options` (of `connect`) and `closed` (the client has been closed).
 */
export declare class CTOError extends Error {
    code: string;
    name: string;
    /** @type {number | undefined} of the HTTP answer, if it was one */ status: number | undefined;
    /** @type {{ fields?: Record<string, unknown> } | undefined} what is wrong with a request, by its fields */ details: {
        fields?: Record<string, unknown>;
    } | undefined;
    /** @type {number | undefined} when to ask again */ retryAfterMs: number | undefined;
    /** @param {string} code @param {string} message @param {Partial<CTOError>} [more] */
    constructor(code: string, message: string, more?: Partial<CTOError>);
}
/** No answer came. */
export declare const unreachable: () => CTOError;
/** Whether to ask again later may be answered otherwise; what has no code could not even be asked. @param {CTOError} error */
export declare const isTransient: ({ code }: CTOError) => boolean;
/** Whether the gateway holds as much for this caller as it may: then asking again helps only once there is less. @param {CTOError} error */
export declare const isLimit: ({ code }: CTOError) => boolean;
/** Whether another token may help. @param {CTOError} error */
export declare const isTokenExpired: ({ code }: CTOError) => boolean;
