export type ProgressEvent = import("./types.js").ProgressEvent;
export type JobView = {
    jobId: string;
    /**
     * null until anything is known
     */
    latest: ProgressEvent | null;
    /**
     * all so far, oldest first; empty when only the latest is asked for
     */
    events: readonly ProgressEvent[];
    ended: boolean;
    /**
     * why it is not followed, e.g. `job_not_found`
     */
    error: import("./errors.js").CTOError | null;
};
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/**
 * A job as a page shows it. A new object for every change.
 *
 * @typedef {object} JobView
 * @property {string} jobId
 * @property {ProgressEvent | null} latest null until anything is known
 * @property {readonly ProgressEvent[]} events all so far, oldest first; empty when only the latest is asked for
 * @property {boolean} ended
 * @property {import("./errors.js").CTOError | null} error why it is not followed, e.g. `job_not_found`
 */
/** Whether an event is the last of its job. @param {ProgressEvent} event */
export declare const hasEnded: ({ status }: ProgressEvent) => boolean;
/** Whether nothing more will be heard of a job. @param {Pick<JobView, "ended" | "error">} job */
export declare const isFinished: ({ ended, error }: Pick<JobView, "ended" | "error">) => boolean;
/** One job's events, put in order: each is delivered once, and none before those that it follows. */
export declare class Job {
    #private;
    jobId: string;
    complete: boolean;
    /** @type {ProgressEvent | null} */ latest: ProgressEvent | null;
    /** @type {ProgressEvent[]} */ events: ProgressEvent[];
    /** @type {import("./errors.js").CTOError | null} */ error: import("./errors.js").CTOError | null;
    seq: number;
    asked: boolean;
    session: number;
    /**
     * @param {string} jobId
     * @param {boolean} complete whether every event counts, or only the latest
     */
    constructor(jobId: string, complete: boolean);
    get ended(): boolean;
    get view(): JobView;
    changed(): void;
    /** Whether something is missing before what has come. */
    get hasHole(): boolean;
    /**
     * Take an event in, whenever and however often it comes.
     *
     * @param {ProgressEvent} event
     * @returns {ProgressEvent[]} what can be delivered now, in order
     */
    take(event: ProgressEvent): ProgressEvent[];
    /**
     * Give up what comes before a seq: it is gone.
     *
     * @param {number} oldestSeq
     * @returns {ProgressEvent[]} what can be delivered now, in order
     */
    skipTo(oldestSeq: number): ProgressEvent[];
}
