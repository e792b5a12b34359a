import { withQuery } from "./rest.js";

export const ADMIN_ROOM = "admin_launches";
const RECENT_JOBS = 50; // jobs of a room that are requested

/**
 * Return the latest event of each of a room's newest jobs, including ended ones, oldest job first.
 *
 * @param {(path: string) => Promise<import("./types.js").JobsPage>} get requests a path of the gateway and resolves to the `data` of the response
 * @param {string} room
 * @returns {Promise<import("./types.js").ProgressEvent[]>}
 */
export async function latestOfRecentJobs(get, room) {
  const userId = room === ADMIN_ROOM ? "" : room.slice("user_".length);
  const { jobs } = await get(withQuery("/api/cto/jobs", { limit: RECENT_JOBS, userId }));
  return jobs.map((job) => job.latestProgress).toReversed();
}
