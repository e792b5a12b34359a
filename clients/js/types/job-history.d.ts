import { Observable } from "./observable.js";
export type CTOError = import("./errors.js").CTOError;
export type JobSummary = import("./types.js").JobSummary;
export type HistoryQuery = Omit<import("./types.js").JobsQuery, "cursor">;
export type HistoryState = {
    /**
     * newest first
     */
    jobs: readonly JobSummary[];
    /**
     * of the latest request
     */
    error: CTOError | null;
    /**
     * whether neither jobs nor an error have been received
     */
    isPending: boolean;
    /**
     * whether a request runs
     */
    isFetching: boolean;
    hasNextPage: boolean;
};
/** @typedef {import("./errors.js").CTOError} CTOError */
/** @typedef {import("./types.js").JobSummary} JobSummary */
/** @typedef {Omit<import("./types.js").JobsQuery, "cursor">} HistoryQuery filters, and the `limit` of a page */
/**
 * @typedef {object} HistoryState
 * @property {readonly JobSummary[]} jobs newest first
 * @property {CTOError | null} error of the latest request
 * @property {boolean} isPending whether neither jobs nor an error have been received
 * @property {boolean} isFetching whether a request runs
 * @property {boolean} hasNextPage
 */
/** @type {HistoryState} */
export declare const PENDING_HISTORY: HistoryState;
/**
 * The pages of a list of jobs. `start` requests the first page.
 *
 * @extends {Observable<HistoryState>}
 */
export declare class JobHistory extends Observable<HistoryState> {
    #private;
    /** @param {import("./client.js").Client} client @param {HistoryQuery} query */
    constructor(client: import("./client.js").Client, query: HistoryQuery);
    /** Request the first page, unless that was done. */
    start: () => void;
    /** Request the first page again, and drop the others. */
    refetch: () => Promise<void>;
    /** Request the next page, unless a request runs or there is none. */
    fetchNextPage: () => Promise<void>;
}
