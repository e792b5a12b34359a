import { isFinished } from "./job.js";

/** What a skin shows before it follows anything. @type {import("./tracker.js").Snapshot} */
export const EMPTY_SNAPSHOT = { jobs: [], error: null };

/** Whether there are jobs, and none of which anything more will be heard. @param {readonly import("./job.js").JobView[]} jobs */
export const areFinished = (jobs) => jobs.length > 0 && jobs.every(isFinished);

/** @typedef {readonly string[] | { user: string } | { all: true }} Selection some jobs, a user's, or, for admins, all */

/**
 * Follow what a skin is asked for.
 *
 * @param {import("./client.js").Client} client
 * @param {Selection | null} which
 * @param {boolean} history
 */
export function trackSelection(client, which, history) {
  if (!which) return null;
  if ("all" in which) return client.trackAll({ history });
  if ("user" in which) return client.trackUser(which.user, { history });
  return client.track(/** @type {readonly string[]} */ (which), { history });
}
