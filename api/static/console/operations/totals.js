// The totals of all operations that match the filters, from the gateway.
import { html, useEffect, useRef, useState } from "/static/third_party/preact.js";
import { integer } from "/static/console/format.js";
import { addressOf, apiQuery, CANCELLED } from "/static/console/operations/filters.js";
import { T } from "/static/console/texts.js";
import { Sol } from "/static/console/ui.js";

const INTERVAL_MS = 2_000; // between two requests while operations end
const OUTCOMES = ["full", "partial", "none", "unknown"];

/** Return the totals, or null until they are known. They are requested again when `version` changes. */
export function useTotals(session, filters, version) {
  const [totals, setTotals] = useState(null);
  const key = addressOf(filters);
  const latest = useRef({ key, requestedMs: 0 });
  useEffect(() => {
    const isNew = latest.current.key !== key;
    latest.current = { key, requestedMs: isNew ? 0 : latest.current.requestedMs };
    if (isNew) setTotals(null);
    const load = async () => {
      latest.current.requestedMs = Date.now();
      try {
        const data = await totalsOf(session, filters);
        if (latest.current.key === key) setTotals(data);
      } catch { /* the list shows errors, and earlier totals stay */ }
    };
    const timer = setTimeout(load, Math.max(0, latest.current.requestedMs + INTERVAL_MS - Date.now()));
    return () => clearTimeout(timer);
  }, [key, version]);
  return totals;
}

/** Return the summary of the gateway, and the number of cancelled operations, which are also counted by their outcome. */
async function totalsOf(session, filters) {
  const summary = (wanted) => session.rest.request("GET", `/api/cto/jobs/summary?${apiQuery(wanted)}`);
  if (filters.errorCode) {
    const data = await summary(filters);
    return { ...data, cancelled: filters.errorCode === CANCELLED ? data.total : 0 };
  }
  const [data, cancelled] = await Promise.all([summary(filters), summary({ ...filters, errorCode: CANCELLED })]);
  return { ...data, cancelled: cancelled.total };
}

export function Totals({ totals, filters }) {
  if (!totals) return null;
  const { total, byStatus, byOutcome, cancelled, successfulBuys, failedBuys, totalSpent } = totals;
  const item = (name, value, change) => html`<div key=${name} class=${`total t-${name}`} title=${T.totalHints[name]}><dt>${T.totals[name]}</dt>
    <dd>${change && value ? html`<a href=${addressOf({ ...filters, ...change })}>${integer(value)}</a>` : typeof value === "number" ? integer(value) : value}</dd></div>`;
  return html`<dl class="totals" aria-label=${T.totals.label}>
    ${item("total", total)}
    ${item("running", (byStatus.active ?? 0) + (byStatus.waiting ?? 0))}
    ${OUTCOMES.map((outcome) => item(outcome, byOutcome[outcome] ?? 0, { status: "", needsReview: "", outcome }))}
    ${item("cancelled", cancelled, { errorCode: CANCELLED })}
    ${item("buys", html`<span title=${T.totalBuys(successfulBuys, failedBuys)}>${integer(successfulBuys)}/${integer(successfulBuys + failedBuys)}</span>`)}
    ${item("spent", html`<${Sol} amount=${totalSpent} unit />`)}</dl>`;
}
