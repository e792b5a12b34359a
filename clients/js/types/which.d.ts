/** What a skin shows before it follows anything. @type {import("./tracker.js").Snapshot} */
export declare const NOTHING: import("./tracker.js").Snapshot;
/** Whether there are jobs, and none of which anything more will be heard. @param {readonly import("./job.js").JobView[]} jobs */
export declare const areOver: (jobs: readonly import("./job.js").JobView[]) => boolean;
export type Which = readonly string[] | {
    user: string;
} | {
    all: true;
};
/** @typedef {readonly string[] | { user: string } | { all: true }} Which some jobs, a user's, or, for admins, all */
/**
 * Follow what a skin is asked for.
 *
 * @param {import("./client.js").Client} client
 * @param {Which | null} which
 * @param {boolean} history
 */
export declare function trackWhich(client: import("./client.js").Client, which: Which | null, history: boolean): import("./tracker.js").Tracker | null;
