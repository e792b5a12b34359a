export type Asking = {
    body?: unknown;
    headers?: Record<string, string>;
    signal?: AbortSignal;
};
/** @typedef {{ body?: unknown, headers?: Record<string, string>, signal?: AbortSignal }} Asking */
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
     * @param {Asking} [asking]
     */
    fetch(method: string, path: string, { body, headers, signal }?: Asking): Promise<Response>;
    /**
     * The `data` of what the gateway answers.
     *
     * @param {string} method
     * @param {string} path
     * @param {Asking} [asking]
     * @returns {Promise<any>}
     */
    request(method: string, path: string, asking?: Asking): Promise<any>;
    /**
     * The same, asked again for up to half a minute while the gateway or its store is away: for what may be said twice.
     *
     * @param {string} method
     * @param {string} path
     * @param {Asking} [asking]
     * @returns {Promise<any>}
     */
    insist(method: string, path: string, asking?: Asking): Promise<any>;
}
