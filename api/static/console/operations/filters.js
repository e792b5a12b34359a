// Filters of the list. They are in the query of the page's address, under the names of the REST API; `range` is a time before now.
import { outcomeOf } from "/client/index.js";

/** The filters that the search sets, and those of the REST API that are compared exactly. */
export const SEARCHED = ["tokenAddress", "wallet", "userId", "signature", "errorCode", "platform"];
const STATE_NAMES = ["status", "outcome", "needsReview"]; // at most one is set by the filter of states
const EXACT = [...SEARCHED, ...STATE_NAMES, "mode"];
const NAMES = [...EXACT, "range", "from", "to"];
const RANGES_MS = { "1h": 3_600_000, "24h": 86_400_000, "7d": 7 * 86_400_000, "30d": 30 * 86_400_000 };
const NOT_IN_EVENTS = ["wallet", "signature"]; // only the gateway can compare these

/** Return the filters in the query of an address. */
export const fromQuery = (query) => Object.fromEntries(NAMES.map((name) => [name, query.get(name)]).filter(([, value]) => value));

/** A cancelled operation has this error code; its outcome says what it had bought. */
export const CANCELLED = "cancelled";

/** Return the choice of the filter of states, e.g. "outcome=partial"; "" for any state. */
export function stateOf(filters) {
  const name = STATE_NAMES.find((each) => filters[each]) ?? (filters.errorCode === CANCELLED ? "errorCode" : null);
  return name ? `${name}=${filters[name]}` : "";
}

/** Return the changes of the filters for another choice of the filter of states. */
export function stateChanges(filters, choice) {
  const [name, value] = choice.split("=");
  const errorCode = filters.errorCode === CANCELLED ? "" : filters.errorCode;
  return { ...Object.fromEntries(STATE_NAMES.map((each) => [each, ""])), errorCode, ...(name && { [name]: value }) };
}

/** Return the address of the list with these filters. */
export function addressOf(filters) {
  const query = new URLSearchParams(NAMES.filter((name) => filters[name]).map((name) => [name, filters[name]]));
  return query.size ? `/?${query}` : "/";
}

/** Return the query of the REST API for these filters. A relative range becomes its first moment. */
export function apiQuery(filters, nowMs = Date.now()) {
  const query = new URLSearchParams(EXACT.filter((name) => filters[name]).map((name) => [name, filters[name]]));
  const { fromMs, toMs } = period(filters, nowMs);
  if (fromMs !== null) query.set("from", fromMs);
  if (toMs !== null) query.set("to", toMs);
  return query;
}

/** Return whether an operation's events are enough to say whether it matches. */
export const canMatchEvents = (filters) => !NOT_IN_EVENTS.some((name) => filters[name]);

/** Return whether an operation matches, as far as its latest event shows. */
export function matches(filters, { createdAt, status, needsReview, latest }, nowMs = Date.now()) {
  const { fromMs, toMs } = period(filters, nowMs);
  const values = { ...latest, status, outcome: outcomeOf(latest), needsReview: String(needsReview), errorCode: latest.details?.errorCode };
  return EXACT.every((name) => !filters[name] || NOT_IN_EVENTS.includes(name) || values[name] === filters[name])
    && (fromMs === null || createdAt >= fromMs) && (toMs === null || createdAt < toMs);
}

function period({ range, from, to }, nowMs) {
  if (range in RANGES_MS) return { fromMs: nowMs - RANGES_MS[range], toMs: null };
  return { fromMs: from ? Number(from) : null, toMs: to ? Number(to) : null };
}
