import { hasEnded } from "./job.js";
import { neededReview, outcomeOf } from "./outcome.js";

const DEFAULT_LIMIT = 50; // jobs of a page

/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./types.js").JobStatus & import("./types.js").JobSummary} Status a job, with the fields of a list's entry */

/**
 * Return the status of a simulated job.
 *
 * @param {{ jobId: string, events: ProgressEvent[], latest: ProgressEvent }} job
 * @returns {Status}
 */
export function statusOf({ jobId, events, latest }) {
  const { tokenAddress, userId, mode, platform, buyAmount } = latest;
  const running = latest.attempt ? "active" : "waiting";
  return {
    jobId, tokenAddress, userId, mode, platform, buyAmount,
    status: latest.status === "completed" || latest.status === "failed" ? latest.status : running,
    outcome: outcomeOf(latest),
    needsReview: hasEnded(latest) && neededReview(latest),
    createdAt: events[0].timestamp,
    progressEvents: events,
    latestProgress: latest,
    currentPhase: latest.phase,
    currentProgress: latest.progress,
    operationResult: null,
  };
}

/**
 * Return one page of the simulated jobs that match a query, newest first.
 *
 * @param {readonly Status[]} jobs oldest first
 * @param {URLSearchParams} query `status`, `userId`, `limit` and `cursor`
 * @returns {import("./types.js").JobsPage}
 */
export function pageOf(jobs, query) {
  const status = query.get("status");
  const userId = query.get("userId");
  const limit = Number(query.get("limit") ?? DEFAULT_LIMIT);
  const matching = jobs.map((job, index) => ({ ...job, index }))
    .filter(({ index }) => index < Number(query.get("cursor") ?? jobs.length))
    .filter((job) => !userId || job.userId === userId)
    .filter((job) => !status || (status === "needs_review" ? job.needsReview : job.status === status))
    .toReversed();
  const page = matching.slice(0, limit);
  const last = page.at(-1);
  return { jobs: page.map(({ index, ...job }) => job), nextCursor: matching.length > limit && last ? String(last.index) : null };
}
