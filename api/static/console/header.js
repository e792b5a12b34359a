// The header: navigation, the state of the connection, and the caller.
import { html, useEffect } from "/static/third_party/preact.js";
import { neededReview } from "/client/index.js";
import { useObservable, useRequest } from "/static/console/observable.js";
import { Session } from "/static/console/session.js";
import { T } from "/static/console/texts.js";

const REVIEW_INTERVAL_MS = 30_000;
const MONEY_INTERVAL_MS = 10_000;
const REVIEW_LIMIT = 100;

export function Header({ session, route, openKeys }) {
  const reviews = useReviewCount(session);
  const link = (view, address, extra) => html`<a href=${address} aria-current=${route.view === view ? "page" : undefined}>${T.nav[view]}${extra}</a>`;
  return html`<header class="top">
    <a class="brand" href="/" aria-label=${`${T.product}: ${T.nav.operations}`}>
      <svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="9"></rect><path d="M8 21h5M8 16h11M8 11h16"></path></svg>
      <span>${T.product}</span></a>
    <nav aria-label=${T.nav.label}>
      ${link("operations", "/")}
      ${session.isOperator && link("review", "/review", reviews > 0 && html` <span class="count" title=${T.waitingForReview(reviews)}>${reviews}${reviews === REVIEW_LIMIT ? "+" : ""}</span>`)}
      ${session.isOperator && link("audit", "/audit")}
      ${session.isOperator && link("system", "/system")}
    </nav>
    <${Money} session=${session} />
    <div class="tools">
      <${ConnectionState} session=${session} />
      <${Caller} session=${session} />
      <button class="quiet" type="button" data-theme-button>${`Theme: ${document.documentElement.dataset.theme}`}</button>
      <button class="quiet" type="button" aria-label=${T.nav.keys} title=${T.nav.keys} onClick=${openKeys}>?</button>
      <a class="quiet" href="/docs">${T.nav.reference}</a>
    </div></header>`;
}

/** Return the number of operations that need review, at most REVIEW_LIMIT. */
function useReviewCount(session) {
  const load = async () => (await session.rest.request("GET", `/api/cto/jobs?status=needs_review&limit=${REVIEW_LIMIT}`)).jobs.length;
  const { data, reload } = useRequest(load, "reviews", REVIEW_INTERVAL_MS);
  useEffect(() => session.events.onComplete((event) => { if (neededReview(event)) reload(); }), [session]);
  return data ?? 0;
}

/** The kind of money that moves. It is unknown without an answer, and if not all running workers report the same kind. */
function Money({ session }) {
  const { data, error } = useRequest(() => session.rest.request("GET", "/api/cto/market"), "market", MONEY_INTERVAL_MS);
  if (!data && !error) return null;
  const kind = (!error && data.money) || "unknown";
  return html`<span class="badge money" data-money=${kind}>${T.money[kind] ?? T.money.unknown}</span>`;
}

function ConnectionState({ session }) {
  const { state, via, error } = useObservable(session.connection);
  const text = T.connection[state === "live" && via === "polling" ? "polling" : state] ?? state;
  return html`<span id="connection" role="status" data-state=${state} title=${error?.message}>${text}</span>`;
}

function Caller({ session }) {
  const { caller } = session;
  if (!caller) return html`<span class="caller" data-off="true">${T.session.off}</span>`;
  const signOut = () => {
    Session.signOut();
    location.reload();
  };
  return html`<span class="caller">${T.session.signedInAs(caller.name, caller.role)}</span>
    <button class="quiet" type="button" onClick=${signOut}>${T.session.signOut}</button>`;
}
