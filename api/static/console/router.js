// The addresses of the views. Links are ordinary links; a click on one changes the view without loading the page.
import { Observable, useObservable } from "/static/console/observable.js";

let list = "/"; // the address of the list of operations, as it was shown last
const current = new Observable(read());

/** Return the view of the current address, e.g. `{ view: "operation", jobId, query }`; `part` is its fragment. */
export const useRoute = () => useObservable(current);

/** Show another address of the console. `replace`: without a new entry in the browser's history. */
export function navigate(address, { replace = false } = {}) {
  if (address === location.pathname + location.search + location.hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  current.set(read());
}

/** Return the address of the list with the filters that were shown last. */
export const listAddress = () => list;

/** Return the address of an operation, with a marked wallet if there is one. */
export const operationPath = (jobId, wallet) => `/operations/${encodeURIComponent(jobId)}${wallet ? `?wallet=${encodeURIComponent(wallet)}` : ""}`;

/** Return the ids of operations in the address of a view. */
export const idsIn = ({ view, jobId, query, part }) => [jobId, jobId && query.get("with"), view === "review" && part].filter(Boolean);

/** Return the address of a view with another id of an operation instead of `text`. */
export function replaceId({ jobId, query, part }, text, id) {
  const next = new URLSearchParams(query);
  if (jobId && query.get("with") === text) next.set("with", id);
  const search = next.size ? `?${next}` : "";
  return jobId ? `${operationPath(jobId === text ? id : jobId)}${search}` : `/review${search}#${encodeURIComponent(part === text ? id : part)}`;
}

function read() {
  const route = parse(new URL(location.href));
  if (route.view === "operations") list = location.pathname + location.search;
  return route;
}

function parse({ pathname, searchParams: query, hash }) {
  const [, jobId] = /^\/operations\/([^/]+)\/?$/.exec(pathname) ?? [];
  if (jobId) return { view: "operation", jobId: decodeURIComponent(jobId), query };
  const view = { "/": "operations", "/review": "review", "/audit": "audit", "/system": "system" }[pathname] ?? "unknown";
  return { view, query, part: decodeURIComponent(hash.slice(1)) };
}

/** Replace an address of earlier releases (`/?room=…`). */
function replaceOldAddress() {
  const [, kind, id] = /^(job|user)_(.+)$/.exec(new URLSearchParams(location.search).get("room") ?? "") ?? [];
  if (kind) navigate(kind === "job" ? operationPath(id) : `/?userId=${encodeURIComponent(id)}`, { replace: true });
}

addEventListener("popstate", () => current.set(read()));
addEventListener("click", (click) => {
  const link = click.target.closest("a[href]");
  const isPlain = !(click.defaultPrevented || click.button || click.ctrlKey || click.metaKey || click.shiftKey || click.altKey);
  if (!link || !isPlain || link.target || link.download || link.origin !== location.origin) return;
  if (parse(new URL(link.href)).view === "unknown" || link.getAttribute("href").startsWith("#")) return;
  click.preventDefault();
  navigate(link.pathname + link.search + link.hash);
  scrollTo(0, 0);
});
replaceOldAddress();
