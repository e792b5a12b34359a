// The state of an operation as it is shown. `partial` and `unknown` are never shown as plainly completed.
import { buysOf, neededReview, outcomeOf } from "/client/index.js";
import { T } from "/static/console/texts.js";

const LAMPORTS = 1e9;

/**
 * Return the state to show: `kind` for colours and icons, `text` for the badge, and `reason`, the code of an error or "".
 * `needsReview` is the current value of a list; the default is that of the final event.
 * `isCancelling`: this page has requested its cancellation.
 */
export function displayState(latest, needsReview = neededReview(latest), isCancelling = false) {
  const outcome = outcomeOf(latest);
  const reason = latest.details?.errorCode ?? "";
  if (outcome === null && !hasEnded(latest)) {
    const kind = latest.attempt ? "running" : "waiting";
    return { kind, text: isCancelling ? T.states.cancelling : T.states[kind], reason: "" };
  }
  if (needsReview) return { kind: "review", text: T.states.review, reason };
  if (outcome === "unknown") return { kind: "reviewed", text: T.states.reviewed, reason };
  if (outcome === "partial") return { kind: "partial", text: T.states.partial, reason };
  if (reason === "cancelled") return { kind: "cancelled", text: T.states.cancelled, reason: "" };
  if (latest.status === "failed") return { kind: "failed", text: T.states.failed, reason };
  return { kind: "completed", text: T.states.completed, reason };
}

/** The buys and the SOL that operators recorded for unknown steps of an operation since its end. */
export const NOTHING_RECORDED = Object.freeze({ bought: 0, failed: 0, spent: 0, isReviewed: false });

/** Return what was recorded for an operation of a list response: its figures without those of its latest event. */
export function recordedOf({ latestProgress: latest, needsReview, successfulBuys, failedBuys, totalSpent }) {
  const { details = {} } = latest;
  const spent = Math.round((totalSpent - (details.totalSpent ?? 0)) * LAMPORTS) / LAMPORTS;
  return {
    bought: successfulBuys - (details.successfulBuys ?? 0), failed: failedBuys - (details.failedBuys ?? 0), spent,
    isReviewed: outcomeOf(latest) === "unknown" && !needsReview,
  };
}

/** Return why an ended operation is not complete: the buys that are missing, or else the code of its error. */
export function reasonOf(latest, { kind, reason }, recorded) {
  if (!hasEnded(latest) || kind === "completed" || kind === "cancelled") return "";
  const { bought, parts } = buyParts(latest, recorded);
  const counts = Object.fromEntries(parts);
  const missing = ["unknown", "failed", "left"].filter((part) => counts[part]).map((part) => T.missingBuys[part](counts[part]));
  if (!missing.length || (kind === "failed" && !bought && reason !== "all_buys_failed")) return reason;
  return [...(reason === "cancelled" ? [T.states.cancelled] : []), ...missing].join(", ");
}

export const hasEnded = (latest) => latest.status === "completed" || latest.status === "failed";

/** Return the buys by result as `{ bought, planned, parts }`; `parts` has the counts that are not 0, e.g. `[["failed", 2]]`. */
export function buyParts(latest, recorded = NOTHING_RECORDED) {
  const { planned, ...atEnd } = buysOf(latest);
  const counts = { bought: atEnd.bought + recorded.bought, failed: atEnd.failed + recorded.failed };
  // After a review, buys without a record were not made, because the transfers before them were unknown.
  counts.unknown = recorded.isReviewed ? 0 : Math.max(0, atEnd.unknown - recorded.bought - recorded.failed);
  counts.left = planned - counts.bought - counts.failed - counts.unknown;
  const parts = ["bought", "failed", "unknown", "left"].filter((part) => counts[part] > 0).map((part) => [part, counts[part]]);
  return { bought: counts.bought, planned, parts };
}

/** Return the buys by result as text, e.g. "2 bought, 8 failed"; "" before there is a plan. */
export function buyText(latest, recorded = NOTHING_RECORDED) {
  const text = buyParts(latest, recorded).parts.map(([part, count]) => `${count} ${T.buys[part]}`).join(", ");
  const count = recorded.bought + recorded.failed;
  return count ? `${text} (${T.operation.recordedBuys(count)})` : text;
}
