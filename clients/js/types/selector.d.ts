export type Tracker = import("./tracker.js").Tracker;
export type Snapshot = import("./tracker.js").Snapshot;
export type JobView = import("./job.js").JobView;
/** @typedef {import("./tracker.js").Tracker} Tracker */
/** @typedef {import("./tracker.js").Snapshot} Snapshot */
/** @typedef {import("./job.js").JobView} JobView */
/** The snapshot that hooks and composables return before they track anything. @type {Snapshot} */
export declare const EMPTY_SNAPSHOT: Snapshot;
/** Return whether there are jobs, and none of them will get another event. @param {readonly JobView[]} jobs */
export declare const areFinished: (jobs: readonly JobView[]) => boolean;
export type Selection = readonly string[] | {
    user: string;
} | {
    all: true;
};
/** @typedef {readonly string[] | { user: string } | { all: true }} Selection job ids, the jobs of a user, or (admins) all jobs */
/**
 * Track the selected jobs. Returns null without a selection.
 *
 * @param {import("./client.js").Client} client
 * @param {Selection | null} selection
 * @param {boolean} history whether to track every event, or only the latest of each job
 */
export declare function trackSelection(client: import("./client.js").Client, selection: Selection | null, history: boolean): import("./tracker.js").Tracker | null;
export type Tracked = {
    tracker: Tracker | null;
    first: Snapshot;
    gap: import("./listeners.js").Gap | null;
};
/**
 * A tracker, and its snapshot when it was created.
 *
 * @typedef {object} Tracked
 * @property {Tracker | null} tracker
 * @property {Snapshot} first
 * @property {import("./listeners.js").Gap | null} gap
 */
/**
 * Return whether something is selected of which neither an event nor an error was received.
 *
 * @param {Selection | null} selection
 * @param {Pick<Tracked, "tracker" | "first"> | null} tracked null before the selection is tracked
 */
export declare function isPending(selection: Selection | null, tracked: Pick<Tracked, "tracker" | "first"> | null): boolean;
export type JobState = {
    latest: import("./types.js").ProgressEvent | null;
    events: readonly import("./types.js").ProgressEvent[];
    ended: boolean;
    error: import("./errors.js").CTOError | null;
    /**
     * events that expired before they were received
     */
    gap: import("./listeners.js").Gap | null;
    /**
     * whether neither an event nor an error was received
     */
    isPending: boolean;
    progress: number;
    phase: number;
    status: import("./types.js").ProgressEvent["status"] | null;
    details: import("./types.js").Details;
};
/**
 * The state of one job.
 *
 * @typedef {object} JobState
 * @property {import("./types.js").ProgressEvent | null} latest
 * @property {readonly import("./types.js").ProgressEvent[]} events
 * @property {boolean} ended
 * @property {import("./errors.js").CTOError | null} error
 * @property {import("./listeners.js").Gap | null} gap events that expired before they were received
 * @property {boolean} isPending whether neither an event nor an error was received
 * @property {number} progress
 * @property {number} phase
 * @property {import("./types.js").ProgressEvent["status"] | null} status
 * @property {import("./types.js").Details} details
 */
/**
 * Return the state of one job.
 *
 * @param {JobView | undefined} job
 * @param {import("./listeners.js").Gap | null} gap
 * @param {boolean} isPending
 * @returns {JobState}
 */
export declare function jobStateOf({ latest, events, ended, error }: JobView | undefined, gap: import("./listeners.js").Gap | null, isPending: boolean): JobState;
/**
 * Return a function that selects a value of a source. It returns the same object until a field of the value changes.
 *
 * @template Source, Value
 * @param {() => unknown} versionOf returns another object whenever the source may have changed
 * @param {() => Source} read
 * @param {(source: Source) => Value} select
 * @returns {() => Value}
 */
export declare function memoized<Source, Value>(versionOf: () => unknown, read: () => Source, select: (source: Source) => Value): () => Value;
