import { hasEnded } from "./job.js";

/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./types.js").Outcome} Outcome */

/**
 * The planned buys of an operation, counted by result.
 *
 * @typedef {object} Buys
 * @property {number} planned 0 before there is a plan
 * @property {number} bought
 * @property {number} failed
 * @property {number} unknown
 * @property {number} left buys that were not made, or not yet
 */

/**
 * Return the outcome of a job; null until it ends. Older gateways send final events without `outcome`: it is then derived
 * from the counts, and is null if there are no counts.
 *
 * @param {ProgressEvent | null} latest
 * @returns {Outcome | null}
 */
export function outcomeOf(latest) {
  if (!latest || !hasEnded(latest)) return null;
  const { outcome, successfulBuys, failedBuys, unknownBuys, unknownTransfers, errorCode } = latest.details ?? {};
  if (outcome) return outcome;
  if (unknownBuys || unknownTransfers || errorCode === "needs_review") return "unknown";
  if (successfulBuys === undefined) return null;
  if (!successfulBuys) return "none";
  return failedBuys || latest.status === "failed" ? "partial" : "full";
}

/**
 * Return whether an operator had to review a job when it ended. Status and list responses contain the current value.
 *
 * @param {ProgressEvent | null} latest
 */
export const neededReview = (latest) => latest?.details?.needsReview ?? outcomeOf(latest) === "unknown";

/**
 * Count the planned buys by result.
 *
 * @param {ProgressEvent | null} latest
 * @returns {Buys}
 */
export function buysOf(latest) {
  const { successfulBuys: bought = 0, failedBuys: failed = 0, unknownBuys = 0, unknownTransfers = 0, plannedBuys, errorCode } = latest?.details ?? {};
  const planned = plannedBuys ?? bought + failed + unknownBuys + unknownTransfers;
  const uncounted = planned - bought - failed - unknownBuys;
  // The buys of a wallet with an unknown transfer are in no count. After the last step, all uncounted buys are such buys.
  const wasStopped = !latest || !hasEnded(latest) || errorCode === "cancelled" || errorCode === "needs_review";
  const afterUnknownTransfer = unknownTransfers && (wasStopped ? Math.min(unknownTransfers, uncounted) : uncounted);
  return { planned, bought, failed, unknown: unknownBuys + afterUnknownTransfer, left: uncounted - afterUnknownTransfer };
}
