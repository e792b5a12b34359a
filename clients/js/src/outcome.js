import { hasEnded } from "./job.js";

/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./types.js").Outcome} Outcome */

/**
 * How many of an operation's planned buys ended in which way so far. `left`: not made, or not yet.
 *
 * @typedef {object} Buys
 * @property {number} planned 0 before there is a plan
 * @property {number} bought
 * @property {number} failed
 * @property {number} unknown
 * @property {number} left
 */

/**
 * What a job came to: null until it ends. Final events written by gateways without outcomes have counts only, from which
 * it is derived; null if there are none.
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
 * Whether an operator had to look at a job when it ended. Status and list responses say whether that is still so.
 *
 * @param {ProgressEvent | null} latest
 */
export const neededReview = (latest) => latest?.details?.needsReview ?? outcomeOf(latest) === "unknown";

/**
 * The planned buys by result.
 *
 * @param {ProgressEvent | null} latest
 * @returns {Buys}
 */
export function buysOf(latest) {
  const { successfulBuys: bought = 0, failedBuys: failed = 0, unknownBuys = 0, unknownTransfers = 0, plannedBuys, errorCode } = latest?.details ?? {};
  const planned = plannedBuys ?? bought + failed + unknownBuys + unknownTransfers;
  const open = planned - bought - failed - unknownBuys;
  // The buys of a wallet whose transfer is unknown are in no count. They are all that is open once every step was run.
  const wasStopped = !latest || !hasEnded(latest) || errorCode === "cancelled" || errorCode === "needs_review";
  const behindTransfers = unknownTransfers && (wasStopped ? Math.min(unknownTransfers, open) : open);
  return { planned, bought, failed, unknown: unknownBuys + behindTransfers, left: open - behindTransfers };
}
