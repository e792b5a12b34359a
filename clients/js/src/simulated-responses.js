import { hasEnded } from "./job.js";
import { neededReview, outcomeOf } from "./outcome.js";
import { statsOf } from "./stats.js";

const DEFAULT_LIMIT = 50; // jobs of a page
const COMPARED = /** @type {const} */ (["status", "outcome", "needsReview", "userId", "tokenAddress", "errorCode", "mode", "platform"]);

/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {{ jobId: string, events: readonly ProgressEvent[], latest: ProgressEvent }} SimulatedJob */

/** Return the status of a simulated job. @param {SimulatedJob} job @returns {import("./types.js").JobStatus} */
export const statusOf = ({ jobId, events, latest }) => ({
  ...stateOf(jobId, latest),
  resolutions: [],
  progressEvents: [...events],
  operationResult: hasEnded(latest) ? resultOf(events) : null,
});

/** Return a list's entry of a simulated job. @param {SimulatedJob} job @returns {import("./types.js").JobSummary} */
function summaryOf({ jobId, events, latest }) {
  const { tokenAddress, userId, mode, platform, buyAmount } = latest;
  const { plannedBuys = null, successfulBuys = 0, failedBuys = 0, totalSpent = 0, errorCode = null } = latest.details ?? {};
  return {
    ...stateOf(jobId, latest),
    createdAt: events[0].timestamp, endedAt: hasEnded(latest) ? latest.timestamp : null,
    tokenAddress, userId, mode, platform, buyAmount,
    plannedBuys, successfulBuys, failedBuys, totalSpent, errorCode,
    parentJobId: null, retriedBy: null,
  };
}

/** @param {string} jobId @param {ProgressEvent} latest */
const stateOf = (jobId, latest) => ({
  jobId,
  status: stateName(latest),
  outcome: outcomeOf(latest),
  needsReview: hasEnded(latest) && neededReview(latest),
  latestProgress: latest,
  currentPhase: latest.phase,
  currentProgress: latest.progress,
});

/** @param {ProgressEvent} latest @returns {import("./types.js").JobStatus["status"]} */
function stateName({ status, attempt }) {
  if (status === "completed" || status === "failed") return status;
  return attempt ? "active" : "waiting";
}

/**
 * Return the result of an ended job.
 *
 * @param {readonly ProgressEvent[]} events all events of the job
 * @returns {import("./types.js").OperationResult}
 */
function resultOf(events) {
  const [first, last] = [events[0], events[events.length - 1]];
  const { outcome, needsReview, plannedBuys = 0, successfulBuys = 0, failedBuys = 0, unknownBuys = 0, unknownTransfers = 0 } = last.details ?? {};
  const { totalSpent = 0, walletsUsed = 0, transactionSignatures = [], error, errorCode } = last.details ?? {};
  const steps = events.flatMap(({ details }) => details?.lastStep ?? []);
  return {
    success: successfulBuys > 0, ...(outcome && { outcome }), ...(needsReview !== undefined && { needsReview }),
    mode: last.mode, platform: last.platform, buyAmount: last.buyAmount,
    plannedBuys, successfulBuys, failedBuys, unknownBuys, unknownTransfers, totalSpent, walletsUsed, transactionSignatures, steps,
    tokensBought: steps.reduce((sum, { tokens }) => sum + tokens, 0),
    durationMs: last.timestamp - first.timestamp,
    ...(errorCode && { errorCode }), ...(error && { error }),
  };
}

/**
 * Return one page of the simulated jobs that match a query, newest first.
 *
 * @param {readonly SimulatedJob[]} jobs oldest first
 * @param {URLSearchParams} query the filters, `limit` and `cursor`
 * @returns {import("./types.js").JobsPage}
 */
export function pageOf(jobs, query) {
  const limit = Number(query.get("limit") ?? DEFAULT_LIMIT);
  const matching = jobs.map((job, index) => ({ ...summaryOf(job), index }))
    .filter(({ index }) => index < Number(query.get("cursor") ?? jobs.length))
    .filter((job) => matches(job, query))
    .toReversed();
  const page = matching.slice(0, limit);
  const last = page.at(-1);
  return { jobs: page.map(({ index, ...job }) => job), nextCursor: matching.length > limit && last ? String(last.index) : null };
}

/**
 * Return the totals of the simulated jobs that match a query.
 *
 * @param {readonly SimulatedJob[]} jobs
 * @param {URLSearchParams} query the filters
 * @returns {import("./types.js").JobsSummary}
 */
export function totalsOf(jobs, query) {
  const matching = jobs.filter((job) => matches(summaryOf(job), query));
  const { total, queued: waiting, active, completed, failed, byOutcome, successfulBuys, failedBuys, totalSpent } = statsOf(matching);
  return { total, byStatus: { waiting, active, completed, failed }, byOutcome, successfulBuys, failedBuys, totalSpent };
}

/**
 * Return whether a job matches all filters. Those by wallet and transaction are ignored.
 *
 * @param {import("./types.js").JobSummary} job
 * @param {URLSearchParams} query
 */
function matches(job, query) {
  const { status, from = "0", to = "Infinity", ...others } = Object.fromEntries(query);
  /** @type {Record<string, string>} */
  const wanted = { ...others, ...(status === "needs_review" ? { needsReview: "true" } : status && { status }) };
  const equals = COMPARED.every((name) => !(name in wanted) || String(job[name]) === wanted[name]);
  return equals && job.createdAt >= Number(from) && job.createdAt < Number(to);
}
