/**
 * Vue composables.
 *
 * @module
 */
export type Client = import("./client.js").Client;
export type Snapshot = import("./tracker.js").Snapshot;
export type Selection = import("./selector.js").Selection;
export type Reactive<T> = import("vue").MaybeRefOrGetter<T>;
/** Provide the client to the components inside; also as a plugin: `app.use({ install: (app) => provideCTO(client, app) })`.
 * @param {Client} client @param {import("vue").App} [app] */
export declare function provideCTO(client: Client, app?: import("vue").App): void;
/** Return the provided client. @returns {Client} */
export declare function useCTOClient(): Client;
/** Return the state of the client's connection. */
export declare function useCTOConnection(): import("vue").ShallowRef<import("./types.js").Connection, import("./types.js").Connection>;
/**
 * Track one job, with all its events. Without a `jobId`, nothing is tracked.
 *
 * @param {Reactive<string | null | undefined>} jobId
 */
export declare function useCTOJob(jobId: Reactive<string | null | undefined>): {
    latest: import("vue").ComputedRef<import("./types.js").ProgressEvent | null>;
    gap: import("vue").ComputedRef<import("./listeners.js").Gap | null>;
    events: import("vue").ComputedRef<readonly import("./types.js").ProgressEvent[]>;
    ended: import("vue").ComputedRef<boolean>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
    progress: import("vue").ComputedRef<number>;
    phase: import("vue").ComputedRef<number>;
    status: import("vue").ComputedRef<"completed" | "failed" | "in_progress" | "started" | null>;
    details: import("vue").ComputedRef<import("./types.js").Details>;
};
/** Track several jobs, all jobs of a user, or (admins) all jobs, with the latest event of each. @param {Reactive<Selection | null>} selection */
export declare function useCTOJobs(selection: Reactive<Selection | null>): {
    jobs: import("vue").ComputedRef<readonly import("./job.js").JobView[]>;
    stats: import("vue").ComputedRef<import("./stats.js").Stats>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
};
/** Track several jobs as one batch: their counts, and whether all have ended. @param {Reactive<readonly string[]>} jobIds */
export declare function useCTOBatch(jobIds: Reactive<readonly string[]>): {
    jobs: import("vue").ComputedRef<readonly import("./job.js").JobView[]>;
    stats: import("vue").ComputedRef<import("./stats.js").Stats>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
    done: import("vue").ComputedRef<boolean>;
};
