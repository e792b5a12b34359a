// The list of operations, at "/".
import { html, useEffect, useMemo, useReducer, useRef, useState } from "/static/third_party/preact.js";
import { shorten } from "/static/console/format.js";
import { useKeys } from "/static/console/keys.js";
import { displayState } from "/static/console/outcome.js";
import { BulkCancel } from "/static/console/operations/bulk-cancel.js";
import { CsvButton } from "/static/console/operations/csv.js";
import { FilterBar } from "/static/console/operations/filter-bar.js";
import { addressOf, fromQuery, SEARCHED } from "/static/console/operations/filters.js";
import { JobList } from "/static/console/operations/job-list.js";
import { addressWith, kindsOf } from "/static/console/operations/search.js";
import { SavedViews } from "/static/console/operations/saved-views.js";
import { OperationsTable } from "/static/console/operations/table.js";
import { Totals, useTotals } from "/static/console/operations/totals.js";
import { navigate } from "/static/console/router.js";
import { T } from "/static/console/texts.js";
import { Empty, Failure, Loading } from "/static/console/ui.js";

export function OperationsView({ session, route, start }) {
  const key = addressOf(fromQuery(route.query));
  const filters = useMemo(() => fromQuery(route.query), [key]);
  const list = useJobList(session, filters);
  const totals = useTotals(session, filters, list?.changes ?? 0);
  const [active, setActive] = useState(null);
  const [selected, setSelected] = useState(new Set());
  const searchField = useRef();
  useEffect(() => setSelected(new Set()), [key]);

  const rows = list?.rows ?? [];
  const move = (step) => {
    const index = rows.findIndex(({ jobId }) => jobId === active);
    setActive(rows[Math.min(rows.length - 1, Math.max(0, index + step))]?.jobId ?? null);
  };
  const toggle = (jobId) => setSelected((before) => symmetricDifference(before, [jobId]));
  const toggleAll = (running) => setSelected((before) => (running.every(({ jobId }) => before.has(jobId)) ? new Set() : new Set(running.map(({ jobId }) => jobId))));
  useKeys({ "/": () => searchField.current.focus(), j: () => move(1), k: () => move(-1), x: () => { if (list?.unfinished.some(({ jobId }) => jobId === active)) toggle(active); } });

  const cancellable = selected.size ? list.unfinished.filter(({ jobId }) => selected.has(jobId)) : [];
  return html`<div class="list-head"><h1>${T.list.title}</h1>
      <div class="actions">
        ${cancellable.length > 0 && html`<${BulkCancel} session=${session} rows=${cancellable} onDone=${() => setSelected(new Set())} />`}
        <${SavedViews} current=${key} />
        <${CsvButton} session=${session} filters=${filters} />
        <button class="primary" type="button" onClick=${() => start()}>${T.list.start}</button></div></div>
    <${FilterBar} session=${session} filters=${filters} searchField=${searchField} />
    <${Totals} totals=${totals} filters=${filters} />
    ${list?.isArchiveAway && html`<p class="note" role="status">${T.list.archiveAway}</p>`}
    ${list?.error && html`<${Failure} error=${list.error} retry=${() => list.load()} />`}
    <${Contents} session=${session} list=${list} filters=${filters} start=${start}
      tableProps=${{ active, setActive, selected, toggle, toggleAll }} total=${totals?.total} />
    <${Announcer} session=${session} />`;
}

const symmetricDifference = (set, ids) => new Set([...set].filter((id) => !ids.includes(id)).concat(ids.filter((id) => !set.has(id))));

function useJobList(session, filters) {
  const [list, setList] = useState(null);
  const [, redraw] = useReducer((count) => count + 1, 0);
  useEffect(() => {
    const created = new JobList(session, filters, () => {
      created.sort();
      redraw();
    });
    setList(created);
    return () => created.close();
  }, [session, filters]);
  return list;
}

function Contents({ session, list, filters, start, tableProps, total }) {
  if (!list || (list.isLoading && !list.rows.length)) return html`<${Loading} />`;
  if (!list.rows.length) {
    if (list.error) return null;
    if (list.isArchiveAway) return html`<${Empty} title=${T.list.noUnfinished} />`;
    return Object.keys(filters).length ? html`<${NoMatch} session=${session} filters=${filters} />`
      : html`<${Empty} title=${T.list.empty}><p>${T.list.emptyHint}</p><button class="primary" type="button" onClick=${() => start()}>${T.list.start}</button><//>`;
  }
  return html`<${OperationsTable} session=${session} list=${list} wallet=${filters.wallet} ...${tableProps}>
      <p class="list-end soft" role="status">${list.isLoadingMore ? T.list.loadingMore : list.hasMore || list.isArchiveAway ? "" : T.list.end}</p><//>
    <p class="list-count soft">${T.list.count(list.rows.length, total)}</p>`;
}

/** Offers to search again with other filters. */
function NoMatch({ session, filters }) {
  const { range, from, to, ...others } = filters;
  const hasPeriod = Boolean(range || from || to);
  return html`<${Empty} title=${T.list.noMatch}><${OtherKinds} session=${session} filters=${filters} />
    <p class="buttons centered">${hasPeriod && Object.keys(others).length > 0 && html`<button type="button" onClick=${() => navigate(addressOf(others))}>${T.list.allTime}</button>`}
      <button type="button" onClick=${() => navigate("/")}>${T.list.clear}</button></p><//>`;
}

/** Offers to search the same text as something else. */
function OtherKinds({ session, filters }) {
  const name = SEARCHED.find((each) => filters[each]);
  const others = name ? kindsOf(filters[name], Boolean(session.user)).filter((kind) => kind !== name && kind !== "jobId") : [];
  return others.length > 0 && html`<p class="other-kinds">${others.map((kind) => html`<button type="button" onClick=${() => navigate(addressWith(filters, kind, filters[name]))}>${T.list.searchAs(T.filters.kinds[kind])}</button>`)}</p>`;
}

/** Announces the end of operations to screen readers. */
function Announcer({ session }) {
  const [text, setText] = useState("");
  useEffect(() => session.events.onComplete((event, { restored }) => {
    if (!restored) setText(T.list.announce(shorten(event.tokenAddress), `${displayState(event).text}: ${event.phaseDescription}`));
  }), [session]);
  return html`<p id="announcer" class="hidden" role="log" aria-live="polite">${text}</p>`;
}
