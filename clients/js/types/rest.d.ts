export type RequestOptions = {
    body?: unknown;
    headers?: Record<string, string>;
    signal?: AbortSignal;
};
/** @typedef {{ body?: unknown, headers?: Record<string, string>, signal?: AbortSignal }} RequestOptions */
/** The gateway's REST interface. Whatever fails rejects with a {@link CTOError}. */
export declare class Rest {
    url: string;
    token: import("./token.js").Token;
    /**
     * @param {string} url
     * @param {import("./token.js").Token} token
     */
    constructor(url: string, token: import("./token.js").Token);
    /**
     * What the gateway answers, as a `Response` with a good status. A token that has ended is replaced once.
     *
     * @param {string} method
     * @param {string} path
     * @param {RequestOptions} [asking]
     */
    fetch(method: string, path: string, { body, headers, signal }?: RequestOptions): Promise<Response>;
    /**
     * The `data` of what the gateway answers.
     *
     * @param {string} method
     * @param {string} path
     * @param {RequestOptions} [asking]
     * @returns {Promise<any>}
     */
    request(method: string, path: string, asking?: RequestOptions): Promise<any>;
    /**
     * The same, asked again for up to half a minute while the gateway or its store is away: for what may be said twice.
     *
     * @param {string} method
     * @param {string} path
     * @param {RequestOptions} [asking]
     * @returns {Promise<any>}
     */
    requestWithRetry(method: string, path: string, asking?: RequestOptions): Promise<any>;
}
