export type ProgressEvent = import("./types.js").ProgressEvent;
export type SimulatedJob = {
    jobId: string;
    events: readonly ProgressEvent[];
    latest: ProgressEvent;
};
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {{ jobId: string, events: readonly ProgressEvent[], latest: ProgressEvent }} SimulatedJob */
/** Return the status of a simulated job. @param {SimulatedJob} job @returns {import("./types.js").JobStatus} */
export declare const statusOf: ({ jobId, events, latest }: SimulatedJob) => import("./types.js").JobStatus;
/**
 * Return one page of the simulated jobs that match a query, newest first.
 *
 * @param {readonly SimulatedJob[]} jobs oldest first
 * @param {URLSearchParams} query the filters, `limit` and `cursor`
 * @returns {import("./types.js").JobsPage}
 */
export declare function pageOf(jobs: readonly SimulatedJob[], query: URLSearchParams): import("./types.js").JobsPage;
/**
 * Return the totals of the simulated jobs that match a query.
 *
 * @param {readonly SimulatedJob[]} jobs
 * @param {URLSearchParams} query the filters
 * @returns {import("./types.js").JobsSummary}
 */
export declare function totalsOf(jobs: readonly SimulatedJob[], query: URLSearchParams): import("./types.js").JobsSummary;
