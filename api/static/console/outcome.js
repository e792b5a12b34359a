// The state of an operation as it is shown. `partial` and `unknown` are never shown as plainly completed.
import { buysOf, neededReview, outcomeOf } from "/client/index.js";
import { T } from "/static/console/texts.js";

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

/** Return why an ended operation is not complete: the buys that are missing, or else the code of its error. */
export function reasonOf(latest, { kind, reason }) {
  if (!hasEnded(latest) || kind === "completed" || kind === "cancelled") return "";
  const { bought, parts } = buyParts(latest);
  const counts = Object.fromEntries(parts);
  const missing = ["unknown", "failed", "left"].filter((part) => counts[part]).map((part) => T.missingBuys[part](counts[part]));
  if (!missing.length || (kind === "failed" && !bought && reason !== "all_buys_failed")) return reason;
  return [...(reason === "cancelled" ? [T.states.cancelled] : []), ...missing].join(", ");
}

export const hasEnded = (latest) => latest.status === "completed" || latest.status === "failed";

/** Return the buys by result as `{ bought, planned, parts }`; `parts` has the counts that are not 0, e.g. `[["failed", 2]]`. */
export function buyParts(latest) {
  const { planned, ...counts } = buysOf(latest);
  const parts = ["bought", "failed", "unknown", "left"].filter((part) => counts[part] > 0).map((part) => [part, counts[part]]);
  return { bought: counts.bought, planned, parts };
}

/** Return the buys by result as text, e.g. "2 bought, 8 failed"; "" before there is a plan. */
export const buyText = (latest) => buyParts(latest).parts.map(([part, count]) => `${count} ${T.buys[part]}`).join(", ");
