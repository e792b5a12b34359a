// The totals of the operations that are shown.
import { statsOf } from "/client/index.js";
import { sol } from "/static/format.js";
import { $, element, setText } from "/static/page.js";

const SHOWN = {
  running: ({ active, queued }) => String(active + queued),
  completed: ({ byOutcome }) => String(byOutcome.full),
  partial: ({ byOutcome }) => String(byOutcome.partial),
  unknown: ({ byOutcome }) => String(byOutcome.unknown),
  failed: ({ byOutcome }) => String(byOutcome.none),
  buys: ({ successfulBuys, failedBuys }) => (failedBuys ? `${successfulBuys} of ${successfulBuys + failedBuys}` : String(successfulBuys)),
  spent: ({ totalSpent }) => sol(totalSpent),
  progress: ({ averageProgress }) => `${averageProgress.toFixed(0)} %`,
};
const nodes = new Map();

export function showTotals(jobs) {
  const stats = statsOf(jobs);
  for (const [name, value] of Object.entries(SHOWN)) {
    if (!nodes.has(name)) {
      nodes.set(name, element("dd"));
      $("totals").append(element("div", "", element("dt", "", name), nodes.get(name)));
    }
    setText(nodes.get(name), value(stats));
  }
}
