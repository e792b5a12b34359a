import { isOver } from "./job.js";

/** What a skin shows before it follows anything. @type {import("./tracker.js").Snapshot} */
export const NOTHING = { jobs: [], error: null };

/** Whether there are jobs, and none of which anything more will be heard. @param {readonly import("./job.js").JobView[]} jobs */
export const areOver = (jobs) => jobs.length > 0 && jobs.every(isOver);

/** @typedef {readonly string[] | { user: string } | { all: true }} Which some jobs, a user's, or, for admins, all */

/**
 * Follow what a skin is asked for.
 *
 * @param {import("./client.js").Client} client
 * @param {Which | null} which
 * @param {boolean} history
 */
export function trackWhich(client, which, history) {
  if (!which) return null;
  if ("all" in which) return client.trackAll({ history });
  if ("user" in which) return client.trackUser(which.user, { history });
  return client.track(/** @type {readonly string[]} */ (which), { history });
}
