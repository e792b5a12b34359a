export type RequestOptions = {
    body?: unknown;
    headers?: Record<string, string>;
    signal?: AbortSignal;
};
/** @typedef {{ body?: unknown, headers?: Record<string, string>, signal?: AbortSignal }} RequestOptions */
/** The gateway's REST API. Every failure rejects with a {@link CTOError}. */
export declare class Rest {
    url: string;
    token: import("./token.js").Token;
    /**
     * @param {string} url
     * @param {import("./token.js").Token} token
     */
    constructor(url: string, token: import("./token.js").Token);
    /**
     * Send a request and return the successful `Response`. An expired token is renewed once.
     *
     * @param {string} method
     * @param {string} path
     * @param {RequestOptions} [options]
     */
    fetch(method: string, path: string, { body, headers, signal }?: RequestOptions): Promise<Response>;
    /**
     * Send a request and return the `data` of the response.
     *
     * @template T
     * @param {string} method
     * @param {string} path
     * @param {RequestOptions} [options]
     * @returns {Promise<T>}
     */
    request<T>(method: string, path: string, options?: RequestOptions): Promise<T>;
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
    requestWithRetry<T>(method: string, path: string, options?: RequestOptions): Promise<T>;
}
/** Return a path with the parameters that have a value; false and 0 are values. @param {string} path @param {object} parameters */
export declare const withQuery: (path: string, parameters: object) => string;
/** Return a new key for `Idempotency-Key`. A page without a secure context has no `randomUUID`. */
export declare const newIdempotencyKey: () => `${string}-${string}-${string}-${string}-${string}`;
