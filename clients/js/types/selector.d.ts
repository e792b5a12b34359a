/** The snapshot that hooks and composables return before they track anything. @type {import("./tracker.js").Snapshot} */
export declare const EMPTY_SNAPSHOT: import("./tracker.js").Snapshot;
/** Return whether there are jobs, and none of them will get another event. @param {readonly import("./job.js").JobView[]} jobs */
export declare const areFinished: (jobs: readonly import("./job.js").JobView[]) => boolean;
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
