import { isFinished } from "./job.js";

/** The snapshot that hooks and composables return before they track anything. @type {import("./tracker.js").Snapshot} */
export const EMPTY_SNAPSHOT = { jobs: [], error: null };

/** Return whether there are jobs, and none of them will get another event. @param {readonly import("./job.js").JobView[]} jobs */
export const areFinished = (jobs) => jobs.length > 0 && jobs.every(isFinished);

/** @typedef {readonly string[] | { user: string } | { all: true }} Selection job ids, the jobs of a user, or (admins) all jobs */

/**
 * Track the selected jobs. Returns null without a selection.
 *
 * @param {import("./client.js").Client} client
 * @param {Selection | null} selection
 * @param {boolean} history whether to track every event, or only the latest of each job
 */
export function trackSelection(client, selection, history) {
  if (!selection) return null;
  if ("all" in selection) return client.trackAll({ history });
  if ("user" in selection) return client.trackUser(selection.user, { history });
  return client.track(/** @type {readonly string[]} */ (selection), { history });
}
