// Counts over the operations that are shown.
import { statsOf } from "/client/index.js";
import { sol } from "/static/format.js";
import { $, el, say } from "/static/page.js";

const SHOWN = {
  running: ({ active, queued }) => String(active + queued),
  completed: ({ completed }) => String(completed),
  failed: ({ failed }) => String(failed),
  buys: ({ successfulBuys, failedBuys }) => (failedBuys ? `${successfulBuys} + ${failedBuys} failed` : String(successfulBuys)),
  spent: ({ totalSpent }) => sol(totalSpent),
  progress: ({ averageProgress }) => `${averageProgress.toFixed(0)} %`,
};
const nodes = new Map();

export function showTotals(jobs) {
  const stats = statsOf(jobs);
  for (const [name, value] of Object.entries(SHOWN)) {
    if (!nodes.has(name)) {
      nodes.set(name, el("dd"));
      $("totals").append(el("div", "", el("dt", "", name), nodes.get(name)));
    }
    say(nodes.get(name), value(stats));
  }
}
