/**
 * React hooks over the client. The same without a page, so that React Native has them, too.
 *
 * @module
 */
export type Client = import("./client.js").Client;
export type Tracker = import("./tracker.js").Tracker;
export type Snapshot = import("./tracker.js").Snapshot;
export type JobView = import("./job.js").JobView;
export type Selection = import("./selector.js").Selection;
/** Give the client to the components inside. @param {{ value: Client, children?: import("react").ReactNode }} props */
export declare const CTOProvider: ({ value, children }: {
    value: Client;
    children?: import("react").ReactNode;
}) => import("react").FunctionComponentElement<import("react").ProviderProps<import("./client.js").Client | null>>;
/** The client that the nearest `CTOProvider` gives. @returns {Client} */
export declare function useCTOClient(): Client;
/** How the client is connected. @returns {import("./types.js").Connection} */
export declare function useCTOConnection(): import("./types.js").Connection;
/**
 * One job: all of its events from the first one on. Nothing is followed while `jobId` is missing.
 *
 * @param {string | null | undefined} jobId
 */
export declare function useCTOJob(jobId: string | null | undefined): {
    latest: import("./types.js").ProgressEvent | null;
    events: readonly import("./types.js").ProgressEvent[];
    ended: boolean;
    error: import("./errors.js").CTOError | null;
    gap: import("./tracker.js").Gap | null;
    progress: number;
    phase: number;
    status: "completed" | "failed" | "in_progress" | "started" | null;
    details: import("./types.js").Details;
};
/**
 * Several jobs, all jobs of a user, or, for admins, every job: the latest of each.
 *
 * @param {Selection | null} which
 * @returns {Snapshot & { stats: import("./stats.js").Stats }}
 */
export declare function useCTOJobs(which: Selection | null): Snapshot & {
    stats: import("./stats.js").Stats;
};
/**
 * Several jobs as one: counts over all of them, and whether all have ended.
 *
 * @param {readonly string[]} jobIds
 */
export declare function useCTOBatch(jobIds: readonly string[]): {
    jobs: readonly import("./job.js").JobView[];
    stats: import("./stats.js").Stats;
    error: import("./errors.js").CTOError | null;
    done: boolean;
};
export type Gap = import("./tracker.js").Gap;
export type Tracked = {
    client: Client;
    key: string;
    tracker: Tracker | null;
    gap: Gap | null;
};
