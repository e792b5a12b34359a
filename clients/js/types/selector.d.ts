/** What a skin shows before it follows anything. @type {import("./tracker.js").Snapshot} */
export declare const EMPTY_SNAPSHOT: import("./tracker.js").Snapshot;
/** Whether there are jobs, and none of which anything more will be heard. @param {readonly import("./job.js").JobView[]} jobs */
export declare const areFinished: (jobs: readonly import("./job.js").JobView[]) => boolean;
export type Selection = readonly string[] | {
    user: string;
} | {
    all: true;
};
/** @typedef {readonly string[] | { user: string } | { all: true }} Selection some jobs, a user's, or, for admins, all */
/**
 * Follow what a skin is asked for.
 *
 * @param {import("./client.js").Client} client
 * @param {Selection | null} which
 * @param {boolean} history
 */
export declare function trackSelection(client: import("./client.js").Client, which: Selection | null, history: boolean): import("./tracker.js").Tracker | null;
