// The audit log, at "/audit": who changed what. The filters are in the query of the address.
import { html, useEffect, useState } from "/static/third_party/preact.js";
import { AuditTable } from "/static/console/audit/table.js";
import { AUDIT_ACTIONS } from "/static/console/config.js";
import { useRequest } from "/static/console/observable.js";
import { named } from "/static/console/job-ids.js";
import { addressOf, FilterText, filtersOf, queryOf } from "/static/console/query-filters.js";
import { navigate } from "/static/console/router.js";
import { T } from "/static/console/texts.js";
import { Empty, Failure, Loading } from "/static/console/ui.js";

const FILTERS = ["actor", "action", "jobId"];
const PAGE = 100;
const INTERVAL_MS = 15_000;
const X = T.audit;

export function AuditView({ session, route: { query } }) {
  const filters = filtersOf(query, FILTERS);
  const key = String(queryOf(filters));
  if (!session.isOperator) return html`<h1>${X.title}</h1><${Empty} title=${X.onlyOperators} />`;
  return html`<div class="list-head"><h1>${X.title}</h1><span class="soft">${X.verify} <code>cto audit verify</code></span></div>
    <${Filters} key=${`filters ${key}`} session=${session} filters=${filters} />
    <${Log} key=${key} session=${session} query=${queryOf(filters)} isFiltered=${key !== ""} />`;
}

function Filters({ session, filters }) {
  const [values, setValues] = useState(filters);
  const show = (changes) => navigate(addressOf("/audit", { ...values, ...changes }));
  const submit = async (submission) => {
    submission.preventDefault();
    const [actor, text] = [values.actor.trim(), values.jobId.trim()];
    show({ actor, jobId: text && (await wholeId(session, text)) });
  };
  const field = (name) => html`<${FilterText} id=${`audit-${name}`} label=${X.filters[name]} value=${values[name]}
    onInput=${(value) => setValues({ ...values, [name]: value })} />`;
  return html`<form class="filters text-filters" role="search" aria-label=${T.filters.label} onSubmit=${submit}>
    ${field("actor")}${field("jobId")}
    <label class="hidden" for="audit-action">${X.filters.action}</label>
    <select id="audit-action" value=${values.action} data-set=${String(values.action !== "")} onChange=${({ target }) => show({ action: target.value })}>
      <option value="">${X.anyAction}</option>${AUDIT_ACTIONS.map((action) => html`<option value=${action}>${action}</option>`)}</select>
    <button>${T.filters.apply}</button></form>`;
}

/** Return the only id that begins with a text, or else the text. */
async function wholeId(session, text) {
  const found = await named(session, text).catch(() => []);
  return found.length === 1 ? found[0].jobId : text;
}

/** The newest page, loaded again at an interval, and older pages on demand. */
function Log({ session, query, isFiltered }) {
  const page = (cursor) => session.rest.request("GET", `/api/cto/audit?${new URLSearchParams([...query, ["limit", PAGE], ...(cursor ? [["cursor", cursor]] : [])])}`);
  const { data, error, reload } = useRequest(() => page(null), "newest", INTERVAL_MS);
  const [{ entries, cursor }, setLog] = useState({ entries: [], cursor: null });
  const [older, setOlder] = useState({ isBusy: false, error: null });
  useEffect(() => { if (data) setLog((before) => withNewest(before, data)); }, [data]);
  const loadOlder = async () => {
    setOlder({ isBusy: true, error: null });
    try {
      const next = await page(cursor);
      setLog((before) => ({ entries: [...before.entries, ...next.entries], cursor: next.nextCursor }));
      setOlder({ isBusy: false, error: null });
    } catch (failure) {
      setOlder({ isBusy: false, error: failure });
    }
  };
  const failure = older.error ?? error;
  if (!data) return error ? html`<${Failure} error=${error} retry=${reload} />` : html`<${Loading} />`;
  if (!data.entries.length) {
    return html`<${Empty} title=${isFiltered ? X.noMatch : X.none}>${isFiltered && html`<button type="button" onClick=${() => navigate("/audit")}>${T.list.clear}</button>`}<//>`;
  }
  return html`${failure && html`<${Failure} error=${failure} retry=${reload} />`}
    <section class="panel"><${AuditTable} entries=${entries} /></section>
    ${cursor && html`<p><button type="button" disabled=${older.isBusy} onClick=${loadOlder}>${X.older}</button></p>`}`;
}

/** Add the newest page to the entries, or begin again if there is a gap between them. */
function withNewest(before, { entries, nextCursor }) {
  const overlap = before.entries.findIndex(({ hash }) => hash === entries.at(-1)?.hash);
  return overlap < 0 ? { entries, cursor: nextCursor } : { entries: [...entries, ...before.entries.slice(overlap + 1)], cursor: before.cursor };
}
