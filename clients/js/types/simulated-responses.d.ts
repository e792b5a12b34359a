export type ProgressEvent = import("./types.js").ProgressEvent;
export type Status = import("./types.js").JobStatus & import("./types.js").JobSummary;
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./types.js").JobStatus & import("./types.js").JobSummary} Status a job, with the fields of a list's entry */
/**
 * Return the status of a simulated job.
 *
 * @param {{ jobId: string, events: ProgressEvent[], latest: ProgressEvent }} job
 * @returns {Status}
 */
export declare function statusOf({ jobId, events, latest }: {
    jobId: string;
    events: ProgressEvent[];
    latest: ProgressEvent;
}): Status;
/**
 * Return one page of the simulated jobs that match a query, newest first.
 *
 * @param {readonly Status[]} jobs oldest first
 * @param {URLSearchParams} query `status`, `userId`, `limit` and `cursor`
 * @returns {import("./types.js").JobsPage}
 */
export declare function pageOf(jobs: readonly Status[], query: URLSearchParams): import("./types.js").JobsPage;
