// What an operation came to, in words and as a bar that is split by the results of its buys.
import { buysOf, neededReview, outcomeOf } from "/client/index.js";
import { el } from "/static/page.js";

const PARTS = { bought: "bought", failed: "failed", unknown: "unknown", left: "not made" };

/**
 * How an operation stands: `kind` for colours, `words` for the badge. `needsReview` is what a list says now; without it,
 * the last event's word counts.
 */
export function standing(latest, needsReview = neededReview(latest)) {
  const outcome = outcomeOf(latest);
  if (latest.phase < latest.totalPhases) return latest.attempt ? { kind: "running", words: "running" } : { kind: "waiting", words: "waiting" };
  if (needsReview) return { kind: "review", words: "needs review" };
  if (outcome === "unknown") return { kind: "reviewed", words: "unknown, reviewed" };
  if (outcome === "partial") return { kind: "partial", words: `partial ${partOf(latest)}` };
  return latest.status === "failed" ? { kind: "failed", words: "failed" } : { kind: "completed", words: "completed" };
}

function partOf(latest) {
  const { bought, planned } = buysOf(latest);
  return `${bought}/${planned}`;
}

/** The results of the planned buys in words, e.g. "2 bought, 8 failed"; "" before there is a plan. */
export function results(latest) {
  const buys = buysOf(latest);
  return Object.entries(PARTS).filter(([part]) => buys[part]).map(([part, words]) => `${buys[part]} ${words}`).join(", ");
}

/** Split a bar by the results of an ended operation's buys. Without a plan nothing is drawn. Returns whether it is split. */
export function split(node, latest) {
  const buys = buysOf(latest);
  const parts = Object.keys(PARTS).filter((part) => buys[part] > 0);
  node.hidden = parts.length === 0;
  node.replaceChildren(...parts.map((part) => {
    const each = el("span", `part ${part}`);
    each.style.flexGrow = String(buys[part]);
    return each;
  }));
  return !node.hidden;
}
