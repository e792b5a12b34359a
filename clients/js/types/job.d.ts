export type ProgressEvent = import("./types.js").ProgressEvent;
export type JobView = {
    jobId: string;
    /**
     * null until the first event
     */
    latest: ProgressEvent | null;
    /**
     * all events so far, oldest first; empty if only the latest is tracked
     */
    events: readonly ProgressEvent[];
    ended: boolean;
    /**
     * why the job is not tracked, e.g. `job_not_found`
     */
    error: import("./errors.js").CTOError | null;
};
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/**
 * The state of a job, for display. Every change makes a new object.
 *
 * @typedef {object} JobView
 * @property {string} jobId
 * @property {ProgressEvent | null} latest null until the first event
 * @property {readonly ProgressEvent[]} events all events so far, oldest first; empty if only the latest is tracked
 * @property {boolean} ended
 * @property {import("./errors.js").CTOError | null} error why the job is not tracked, e.g. `job_not_found`
 */
/** Return whether an event is the last of its job. @param {ProgressEvent} event */
export declare const hasEnded: ({ status }: ProgressEvent) => boolean;
/** Return whether a job will get no more events: it has ended, or was refused for good. @param {Pick<JobView, "ended" | "error">} job */
export declare const isFinished: ({ ended, error }: Pick<JobView, "ended" | "error">) => boolean;
/** Orders the events of one job: each is delivered once, in the order of `seq`. */
export declare class Job {
    #private;
    jobId: string;
    complete: boolean;
    /** @type {ProgressEvent | null} */ latest: ProgressEvent | null;
    /** @type {ProgressEvent[]} */ events: ProgressEvent[];
    /** @type {import("./errors.js").CTOError | null} */ error: import("./errors.js").CTOError | null;
    seq: number;
    requested: boolean;
    session: number;
    /**
     * @param {string} jobId
     * @param {boolean} complete whether to deliver every event, or only the latest
     */
    constructor(jobId: string, complete: boolean);
    get ended(): boolean;
    get view(): JobView;
    /** Make the next `view` a new object. */
    changed(): void;
    /** Whether events are missing before those that have arrived. */
    get hasHole(): boolean;
    /**
     * Accept an event, in any order and any number of times.
     *
     * @param {ProgressEvent} event
     * @returns {ProgressEvent[]} the events that can be delivered now, in order
     */
    accept(event: ProgressEvent): ProgressEvent[];
    /**
     * Skip the events before a seq, because they have expired.
     *
     * @param {number} oldestSeq
     * @returns {ProgressEvent[]} the events that can be delivered now, in order
     */
    skipTo(oldestSeq: number): ProgressEvent[];
}
