/**
 * Vue composables over the client.
 *
 * @module
 */
export type Client = import("./client.js").Client;
export type Snapshot = import("./tracker.js").Snapshot;
export type Selection = import("./selector.js").Selection;
export type Given<T> = import("vue").MaybeRefOrGetter<T>;
/** Give the client to the components inside; also as a plugin: `app.use({ install: (app) => provideCTO(client, app) })`.
 * @param {Client} client @param {import("vue").App} [app] */
export declare function provideCTO(client: Client, app?: import("vue").App): void;
/** The client that was provided. @returns {Client} */
export declare function useCTOClient(): Client;
/** How the client is connected. */
export declare function useCTOConnection(): import("vue").ShallowRef<import("./types.js").Connection, import("./types.js").Connection>;
/**
 * One job: all of its events from the first one on. Nothing is followed while `jobId` is missing.
 *
 * @param {Given<string | null | undefined>} jobId
 */
export declare function useCTOJob(jobId: Given<string | null | undefined>): {
    latest: import("vue").ComputedRef<import("./types.js").ProgressEvent | null>;
    gap: import("vue").ComputedRef<import("./tracker.js").Gap | null>;
    events: import("vue").ComputedRef<readonly import("./types.js").ProgressEvent[]>;
    ended: import("vue").ComputedRef<boolean>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
    progress: import("vue").ComputedRef<number>;
    phase: import("vue").ComputedRef<number>;
    status: import("vue").ComputedRef<"completed" | "failed" | "in_progress" | "started" | null>;
    details: import("vue").ComputedRef<import("./types.js").Details>;
};
/** Several jobs, all jobs of a user, or, for admins, every job: the latest of each. @param {Given<Selection | null>} which */
export declare function useCTOJobs(which: Given<Selection | null>): {
    jobs: import("vue").ComputedRef<readonly import("./job.js").JobView[]>;
    stats: import("vue").ComputedRef<import("./stats.js").Stats>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
};
/** Several jobs as one: counts over all of them, and whether all have ended. @param {Given<readonly string[]>} jobIds */
export declare function useCTOBatch(jobIds: Given<readonly string[]>): {
    jobs: import("vue").ComputedRef<readonly import("./job.js").JobView[]>;
    stats: import("vue").ComputedRef<import("./stats.js").Stats>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
    done: import("vue").ComputedRef<boolean>;
};
