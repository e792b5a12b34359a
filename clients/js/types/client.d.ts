import { Rest } from "./rest.js";
import { Tracker } from "./tracker.js";
export type Options = {
    /**
     * address of the gateway, `http(s)://` or `ws(s)://`; by default the page's origin
     */
    url?: string;
    /**
     * a token, or a function that returns one; also called shortly before the token expires
     */
    token?: string | (() => string | Promise<string>);
    /**
     * `io` of socket.io-client; without it the client uses the plain WebSocket
     */
    io?: import("./types.js").Io;
    /**
     * whether tabs share one connection, if the browser supports it; by default true
     */
    tabs?: boolean;
    /**
     * keeps events across a reload; by default `sessionStorage`
     */
    storage?: import("./event-cache.js").Storage | null;
    /**
     * the transports, the best one first
     */
    transports?: readonly import("./types.js").Transport[];
    /**
     * sends requests in place of the gateway's REST API; `simulate` sets it
     */
    rest?: Pick<Rest, "request" | "requestWithRetry">;
};
export type ConnectionMessage = import("./connection-manager.js").ConnectionMessage;
export type TrackOptions = {
    history?: boolean;
};
/**
 * @typedef {object} Options
 * @property {string} [url] address of the gateway, `http(s)://` or `ws(s)://`; by default the page's origin
 * @property {string | (() => string | Promise<string>)} [token] a token, or a function that returns one; also called shortly before the token expires
 * @property {import("./types.js").Io} [io] `io` of socket.io-client; without it the client uses the plain WebSocket
 * @property {boolean} [tabs] whether tabs share one connection, if the browser supports it; by default true
 * @property {import("./event-cache.js").Storage | null} [storage] keeps events across a reload; by default `sessionStorage`
 * @property {readonly import("./types.js").Transport[]} [transports] the transports, the best one first
 * @property {Pick<Rest, "request" | "requestWithRetry">} [rest] sends requests in place of the gateway's REST API; `simulate` sets it
 */
/** @typedef {import("./connection-manager.js").ConnectionMessage} ConnectionMessage */
/** @typedef {{ history?: boolean }} TrackOptions `history`: true: every event; false: only each job's latest */
/**
 * Create a client of a gateway. It connects when the first job is tracked. Throws `invalid_options` if `url` is not an address, or `token` not a token.
 *
 * @param {Options} [options]
 */
export declare const connect: (options?: Options) => Client;
/** A client of one gateway; {@link connect} creates it. */
export declare class Client {
    #private;
    /** @param {Options} [options] */
    constructor({ url, token, io, tabs, storage, transports, rest }?: Options);
    /** The state of the connection. */
    get connection(): import("./types.js").Connection;
    /**
     * Listen to changes of `connection`. Returns a function that unsubscribes.
     *
     * @param {(connection: import("./types.js").Connection) => void} listener
     */
    onConnection(listener: (connection: import("./types.js").Connection) => void): () => undefined;
    /** Track one job, or several. @param {string | readonly string[]} jobs @param {TrackOptions} [options] */
    track(jobs: string | readonly string[], { history }?: TrackOptions): Tracker;
    /** Track all jobs of a user, including future ones. @param {string} userId @param {TrackOptions} [options] */
    trackUser(userId: string, { history }?: TrackOptions): Tracker;
    /** Track all jobs of all users. Only for admins. @param {TrackOptions} [options] */
    trackAll({ history }?: TrackOptions): Tracker;
    /**
     * Start an operation. Without a response, the request is retried for up to half a minute; the operation starts only once.
     *
     * @param {import("./types.js").OperationRequest} request
     * @param {{ idempotencyKey?: string }} [options] requests with the same key and body start one operation
     * @returns {Promise<import("./types.js").CreatedJob>}
     */
    submit(request: import("./types.js").OperationRequest, { idempotencyKey }?: {
        idempotencyKey?: string;
    }): Promise<import("./types.js").CreatedJob>;
    /**
     * Cancel a job. This takes effect before its next transfer or buy.
     *
     * @param {string} jobId
     * @returns {Promise<import("./types.js").CancelRequested>}
     */
    cancel(jobId: string): Promise<import("./types.js").CancelRequested>;
    /** Return a job's status and result. @param {string} jobId @returns {Promise<import("./types.js").JobStatus>} */
    status(jobId: string): Promise<import("./types.js").JobStatus>;
    /**
     * Return a job's events, oldest first.
     *
     * @param {string} jobId
     * @param {number} [after]
     * @returns {Promise<import("./types.js").ProgressEvent[]>}
     */
    events(jobId: string, after?: number): Promise<import("./types.js").ProgressEvent[]>;
    /**
     * Return jobs, newest first.
     *
     * @param {import("./types.js").JobsQuery} [query]
     * @returns {Promise<import("./types.js").JobsPage>}
     */
    jobs(query?: import("./types.js").JobsQuery): Promise<import("./types.js").JobsPage>;
    /**
     * Return the totals of all jobs that match the filters: counts by status and outcome, buys, and SOL spent.
     *
     * @param {import("./types.js").JobsFilters} [filters]
     * @returns {Promise<import("./types.js").JobsSummary>}
     */
    summary(filters?: import("./types.js").JobsFilters): Promise<import("./types.js").JobsSummary>;
    /**
     * Return how many of up to 500 jobs are queued, active, completed, failed or not found.
     *
     * @param {readonly string[]} jobIds
     * @returns {Promise<import("./types.js").JobCounts>}
     */
    stats(jobIds: readonly string[]): Promise<import("./types.js").JobCounts>;
    /** Connect again now, also after a refusal. */
    reconnect(): void;
    close(): void;
}
