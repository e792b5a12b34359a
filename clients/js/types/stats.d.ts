export type Stats = {
    total: number;
    /**
     * jobs that no worker has claimed
     */
    queued: number;
    active: number;
    completed: number;
    failed: number;
    /**
     * of the ended jobs
     */
    byOutcome: Record<import("./types.js").Outcome, number>;
    /**
     * percent
     */
    averageProgress: number;
    successfulBuys: number;
    failedBuys: number;
    /**
     * SOL
     */
    totalSpent: number;
};
/**
 * @typedef {object} Stats
 * @property {number} total
 * @property {number} queued jobs that no worker has claimed
 * @property {number} active
 * @property {number} completed
 * @property {number} failed
 * @property {Record<import("./types.js").Outcome, number>} byOutcome of the ended jobs
 * @property {number} averageProgress percent
 * @property {number} successfulBuys
 * @property {number} failedBuys
 * @property {number} totalSpent SOL
 */
/**
 * Count jobs by their latest events, as `GET /api/cto/jobs/stats` does.
 *
 * @param {Iterable<{ latest: import("./types.js").ProgressEvent | null }>} jobs
 * @returns {Stats}
 */
export declare function statsOf(jobs: Iterable<{
    latest: import("./types.js").ProgressEvent | null;
}>): Stats;
