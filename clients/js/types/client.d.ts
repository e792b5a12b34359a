import { Rest } from "./rest.js";
import { Tracker } from "./tracker.js";
export type Options = {
    /**
     * the gateway's, `http(s)://` or `ws(s)://`; by default the page's own origin
     */
    url?: string;
    /**
     * a token, or what gets one: it is asked again before that ends
     */
    token?: string | (() => string | Promise<string>);
    /**
     * socket.io-client's; without it the plain WebSocket is used
     */
    io?: (url: string, options: any) => any;
    /**
     * whether tabs share one connection; by default they do where they can
     */
    tabs?: boolean;
    /**
     * what outlives a reload; by default `sessionStorage`
     */
    storage?: import("./event-cache.js").Storage | null;
    /**
     * the ways to connect, the best first
     */
    transports?: readonly import("./types.js").Transport[];
    /**
     * what asks the gateway; given by `simulate`
     */
    rest?: Pick<Rest, "request" | "requestWithRetry">;
};
export type TrackOptions = {
    history?: boolean;
};
/**
 * @typedef {object} Options
 * @property {string} [url] the gateway's, `http(s)://` or `ws(s)://`; by default the page's own origin
 * @property {string | (() => string | Promise<string>)} [token] a token, or what gets one: it is asked again before that ends
 * @property {(url: string, options: any) => any} [io] socket.io-client's; without it the plain WebSocket is used
 * @property {boolean} [tabs] whether tabs share one connection; by default they do where they can
 * @property {import("./event-cache.js").Storage | null} [storage] what outlives a reload; by default `sessionStorage`
 * @property {readonly import("./types.js").Transport[]} [transports] the ways to connect, the best first
 * @property {Pick<Rest, "request" | "requestWithRetry">} [rest] what asks the gateway; given by `simulate`
 */
/** @typedef {{ history?: boolean }} TrackOptions `history`: every event, or only the latest of each job */
/**
 * Connect to a gateway. Nothing is opened before something is tracked. Throws `invalid_options` when `url` is no address.
 *
 * @param {Options} [options]
 */
export declare const connect: (options?: Options) => Client;
/** What {@link connect} returns. */
export declare class Client {
    #private;
    /** @param {Options} [options] */
    constructor({ url, token, io, tabs, storage, transports, rest }?: Options);
    /** How it is connected. */
    get connection(): import("./types.js").Connection;
    /** ServerMessage whenever that changes. Returns what unsubscribes. @param {(connection: import("./types.js").Connection) => void} listener */
    onConnection(listener: (connection: import("./types.js").Connection) => void): () => undefined;
    /** Follow one job, or several. @param {string | readonly string[]} jobs @param {TrackOptions} [following] */
    track(jobs: string | readonly string[], { history }?: TrackOptions): Tracker;
    /** Follow all jobs of a user, those to come too. @param {string} userId @param {TrackOptions} [following] */
    trackUser(userId: string, { history }?: TrackOptions): Tracker;
    /** Follow every job there is: for admins. @param {TrackOptions} [following] */
    trackAll({ history }?: TrackOptions): Tracker;
    /**
     * Start an operation. ClientCommand again for up to half a minute while nothing answers; it still starts once.
     *
     * @param {import("./types.js").OperationRequest} request
     * @param {{ idempotencyKey?: string }} [options] the same key and request start the same operation
     * @returns {Promise<{ jobId: string, status: string, statusUrl: string }>}
     */
    submit(request: import("./types.js").OperationRequest, { idempotencyKey }?: {
        idempotencyKey?: string;
    }): Promise<{
        jobId: string;
        status: string;
        statusUrl: string;
    }>;
    /** Cancel a job: takes effect before its next transfer or buy. @param {string} jobId @returns {Promise<any>} */
    cancel(jobId: string): Promise<any>;
    /** A job's status page, with its result. @param {string} jobId @returns {Promise<any>} */
    status(jobId: string): Promise<any>;
    /**
     * A job's history, oldest first.
     *
     * @param {string} jobId
     * @param {number} [after]
     * @returns {Promise<import("./types.js").ProgressEvent[]>}
     */
    events(jobId: string, after?: number): Promise<import("./types.js").ProgressEvent[]>;
    /**
     * Jobs, newest first.
     *
     * @param {{ status?: string, limit?: number, cursor?: string | null, userId?: string }} [query]
     * @returns {Promise<{ jobs: any[], nextCursor: string | null }>}
     */
    jobs(query?: {
        status?: string;
        limit?: number;
        cursor?: string | null;
        userId?: string;
    }): Promise<{
        jobs: any[];
        nextCursor: string | null;
    }>;
    /** Counts of up to 500 jobs, by the gateway. @param {readonly string[]} jobIds @returns {Promise<any>} */
    stats(jobIds: readonly string[]): Promise<any>;
    /** Try again now, also after a refusal. */
    reconnect(): void;
    close(): void;
}
