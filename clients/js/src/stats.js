import { hasEnded } from "./job.js";
import { outcomeOf } from "./outcome.js";

/**
 * @typedef {object} Stats
 * @property {number} total
 * @property {number} queued jobs that no worker has claimed
 * @property {number} active
 * @property {number} completed
 * @property {number} failed
 * @property {Record<import("./types.js").Outcome, number>} byOutcome of the ended jobs
 * @property {number} averageProgress percent
 * @property {number} successfulBuys
 * @property {number} failedBuys
 * @property {number} totalSpent SOL
 */

/**
 * Count jobs by their latest events, as `GET /api/cto/jobs/stats` does.
 *
 * @param {Iterable<{ latest: import("./types.js").ProgressEvent | null }>} jobs
 * @returns {Stats}
 */
export function statsOf(jobs) {
  const stats = {
    total: 0, queued: 0, active: 0, completed: 0, failed: 0, averageProgress: 0, successfulBuys: 0, failedBuys: 0, totalSpent: 0,
    byOutcome: { full: 0, partial: 0, none: 0, unknown: 0 },
  };
  let progress = 0;
  for (const { latest } of jobs) {
    stats.total += 1;
    stats[stateOf(latest)] += 1;
    const outcome = outcomeOf(latest);
    if (outcome) stats.byOutcome[outcome] += 1;
    progress += latest?.progress ?? 0;
    stats.successfulBuys += latest?.details?.successfulBuys ?? 0;
    stats.failedBuys += latest?.details?.failedBuys ?? 0;
    stats.totalSpent += latest?.details?.totalSpent ?? 0;
  }
  stats.averageProgress = stats.total && progress / stats.total;
  return stats;
}

/** @param {import("./types.js").ProgressEvent | null} latest */
function stateOf(latest) {
  if (latest && hasEnded(latest)) return /** @type {"completed" | "failed"} */ (latest.status);
  return latest?.attempt ? "active" : "queued";
}
