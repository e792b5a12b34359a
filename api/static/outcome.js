// The outcome of an operation: as a label, as text, and as a bar split by the results of its buys.
import { buysOf, neededReview, outcomeOf } from "/client/index.js";
import { element } from "/static/page.js";

const PARTS = { bought: "bought", failed: "failed", unknown: "unknown", left: "not made" };

/**
 * Return the state to display: `kind` for colours, `text` for the badge. `needsReview` is the current value from a list;
 * the default is that of the final event.
 */
export function displayState(latest, needsReview = neededReview(latest)) {
  const outcome = outcomeOf(latest);
  if (latest.phase < latest.totalPhases) return latest.attempt ? { kind: "running", text: "running" } : { kind: "waiting", text: "waiting" };
  if (needsReview) return { kind: "review", text: "needs review" };
  if (outcome === "unknown") return { kind: "reviewed", text: "unknown, reviewed" };
  if (outcome === "partial") return { kind: "partial", text: `partial ${boughtOfPlanned(latest)}` };
  return latest.status === "failed" ? { kind: "failed", text: "failed" } : { kind: "completed", text: "completed" };
}

function boughtOfPlanned(latest) {
  const { bought, planned } = buysOf(latest);
  return `${bought}/${planned}`;
}

/** Return the results of the planned buys as text, e.g. "2 bought, 8 failed"; "" before the plan exists. */
export function buyResults(latest) {
  const buys = buysOf(latest);
  return Object.entries(PARTS).filter(([part]) => buys[part]).map(([part, label]) => `${buys[part]} ${label}`).join(", ");
}

/** Split a bar by the results of an ended operation's buys. Returns false if there is no plan to draw. */
export function drawBuyParts(node, latest) {
  const buys = buysOf(latest);
  const parts = Object.keys(PARTS).filter((part) => buys[part] > 0);
  node.hidden = parts.length === 0;
  node.replaceChildren(...parts.map((part) => {
    const segment = element("span", `part ${part}`);
    segment.style.flexGrow = String(buys[part]);
    return segment;
  }));
  return !node.hidden;
}
