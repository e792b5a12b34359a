export const ADMIN_ROOM = "admin_launches";
const NEWEST = 50; // jobs looked at in a room

/**
 * The latest event of each of a room's newest jobs, ended ones too, oldest first.
 *
 * @param {(path: string) => Promise<any>} get asks the gateway, and gives the `data` of its answer
 * @param {string} room
 * @returns {Promise<import("./types.js").ProgressEvent[]>}
 */
export async function latestOfRecentJobs(get, room) {
  const user = room === ADMIN_ROOM ? "" : `&userId=${encodeURIComponent(room.slice("user_".length))}`;
  const { jobs } = await get(`/api/cto/jobs?limit=${NEWEST}${user}`);
  return jobs.map((/** @type {any} */ job) => job.latestProgress).toReversed();
}
