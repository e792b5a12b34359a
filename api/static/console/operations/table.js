// The table of operations. Only the visible rows are in the page, so that 10,000 rows scroll smoothly.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "/static/third_party/preact.js";
import { ago, duration, exactSol, fullTime, percent, shortId, shorten, zone } from "/static/console/format.js";
import { useNow } from "/static/console/observable.js";
import { displayState, hasEnded, NOTHING_RECORDED, reasonOf } from "/static/console/outcome.js";
import { operationPath } from "/static/console/router.js";
import { useIsCancelling } from "/static/console/operations/cancellations.js";
import { WalletResult } from "/static/console/operations/wallet-result.js";
import { T } from "/static/console/texts.js";
import { Badge, Buys, Reason, Sol, Time } from "/static/console/ui.js";

const OVERSCAN = 4; // rows above and below the visible ones
const STEP = 4; // scrolled rows after which the table is drawn again
const MORE_ROWS = 40; // older operations are loaded when so few rows are left below
const HEIGHTS = [["(max-width: 47.99rem)", 82], ["(max-width: 63.99rem)", 56], ["all", 38]].map(([query, height]) => [matchMedia(query), height]);
const rowHeight = () => HEIGHTS.find(([query]) => query.matches)[1]; // px, for the layouts of operations.css
const COLUMNS = ["select", "id", "state", "token", "owner", "mode", "amount", "buys", "spent", "started", "duration"];

/** `active` is the id of the row with the focus; `selected` a set of ids; `wallet` is marked on the pages of the operations. */
export function OperationsTable({ session, list, wallet, active, setActive, selected, toggle, toggleAll, children }) {
  const frame = useRef();
  const [height, setHeight] = useState(rowHeight);
  const [top, setTop] = useState(0); // index of the first visible row, rounded down to a multiple of STEP
  const [shown, setShown] = useState(24); // visible rows
  const nowMs = useNow();
  const { rows } = list;

  useEffect(() => {
    const onResize = () => {
      if (!frame.current) return;
      setHeight(rowHeight());
      setShown(Math.ceil(frame.current.clientHeight / rowHeight()));
    };
    const observer = new ResizeObserver(onResize);
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);

  const first = Math.max(0, Math.min(top, rows.length) - OVERSCAN);
  const last = Math.min(rows.length, top + STEP + shown + OVERSCAN);
  useEffect(() => { if (last > rows.length - MORE_ROWS) void list.loadMore(); }, [last, rows.length, list]);
  useShowActive(frame, rows, active, height);

  const onScroll = ({ target }) => setTop(Math.floor(target.scrollTop / height / STEP) * STEP);
  const running = list.unfinished;
  return html`<div class="frame" ref=${frame} onScroll=${onScroll}>
    <table class="operations" aria-rowcount=${rows.length + 1} style=${{ "--row": `${height}px` }}>
      <caption class="hidden">${T.list.title}</caption>
      <thead><tr>${COLUMNS.map((name) => html`<th scope="col" class=${`c-${name}`}>${name !== "select" ? html`${T.list.columns[name]}${name === "started" && html` <span class="zone">${zone()}</span>`}`
        : running.length > 0 && html`<input type="checkbox" aria-label=${T.list.selectAll} title=${T.list.selectAll}
          checked=${running.every(({ jobId }) => selected.has(jobId))} onChange=${() => toggleAll(running)} />`}</th>`)}</tr></thead>
      <tbody>
        <tr class="space" aria-hidden="true" style=${{ height: `${first * height}px` }}></tr>
        ${rows.slice(first, last).map((row, index) => html`<${Row} key=${row.jobId} row=${row} index=${first + index + 2} ...${timesOf(row, nowMs)}
          session=${session} wallet=${wallet} isActive=${row.jobId === active} onFocus=${setActive} isSelected=${selected.has(row.jobId)} toggle=${toggle} />`)}
        <tr class="space" aria-hidden="true" style=${{ height: `${(rows.length - last) * height}px` }}></tr>
      </tbody>
    </table>${children}</div>`;
}

/** Scroll to the active row and focus its link when the active row changes. */
function useShowActive(frame, rows, active, height) {
  useLayoutEffect(() => {
    if (!active) return;
    const index = rows.findIndex(({ jobId }) => jobId === active);
    const { scrollTop, clientHeight } = frame.current;
    const top = index * height;
    if (top < scrollTop) frame.current.scrollTop = top;
    else if (top + 3 * height > scrollTop + clientHeight) frame.current.scrollTop = top + 3 * height - clientHeight;
    if (document.activeElement?.closest("[data-job]")?.dataset.job === active) return;
    const link = () => frame.current?.querySelector(`[data-job="${CSS.escape(active)}"] a`);
    const focus = () => link()?.focus({ preventScroll: true });
    if (link()) focus();
    else requestAnimationFrame(focus); // the row is drawn after the scroll event
  }, [active]);
}

/** Return the texts of a row that change with time. Most of them stay the same from one second to the next. */
function timesOf({ createdAt, latest }, nowMs) {
  const endMs = hasEnded(latest) ? latest.timestamp : nowMs;
  return { since: ago(createdAt, nowMs), took: duration(Math.max(0, endMs - createdAt)) };
}

/** The SOL that an operation has spent. What operators recorded is included. */
function Spent({ details, recorded: { spent: recorded } = NOTHING_RECORDED }) {
  const amount = (details.totalSpent ?? 0) + recorded;
  if (!amount) return "–";
  return html`<${Sol} amount=${amount} note=${recorded ? T.operation.recordedSpent(exactSol(recorded)) : ""} />`;
}

/** A row. It is drawn again only if one of its values has changed. */
function Row({ row, index, session, wallet, since, took, isActive, onFocus, isSelected, toggle }) {
  const isCancelling = useIsCancelling(row.jobId);
  return useMemo(() => {
    const { jobId, createdAt, needsReview, latest, recorded } = row;
    const state = displayState(latest, needsReview, isCancelling);
    const ended = hasEnded(latest);
    const { details = {} } = latest;
    const id = shortId(jobId);
    const reason = reasonOf(latest, state, recorded);
    const onClick = ({ target, currentTarget }) => {
      if (!target.closest("a, input, button") && !getSelection().toString()) currentTarget.querySelector("a").click();
    };
    return html`<tr data-job=${jobId} data-state=${state.kind} aria-rowindex=${index} data-active=${String(isActive)} onClick=${onClick} onFocusIn=${() => onFocus(jobId)}>
      <td class="c-select">${!ended && html`<input type="checkbox" aria-label=${T.list.select(id)} checked=${isSelected} onChange=${() => toggle(jobId)} />`}</td>
      <td class="c-id"><a class="mono" href=${operationPath(jobId, wallet)} title=${jobId} aria-label=${T.list.open(id)}>${id}</a></td>
      <td class="c-state"><div class="state"><${Badge} state=${state} />${state.kind === "running"
        ? html`<span class="progress" title=${details.currentOperation}><i style=${{ transform: `scaleX(${latest.progress / 100})` }}></i></span><span class="number soft">${percent(latest.progress)}</span>`
        : wallet && ended ? html`<${WalletResult} session=${session} jobId=${jobId} wallet=${wallet} />`
        : reason && html`<${Reason} text=${reason} title=${details.error ? `${reason}: ${details.error}` : reason} />`}</div></td>
      <td class="c-token mono" title=${latest.tokenAddress}>${shorten(latest.tokenAddress)}</td>
      <td class="c-owner" title=${latest.userId}>${latest.userId}</td>
      <td class="c-mode">${latest.mode}</td>
      <td class="c-amount"><${Sol} amount=${latest.buyAmount} /></td>
      <td class="c-buys"><${Buys} latest=${latest} recorded=${recorded} /></td>
      <td class="c-spent"><${Spent} details=${details} recorded=${recorded} /></td>
      <td class="c-started"><${Time} ms=${createdAt} since=${since} /></td>
      <td class="c-duration number" title=${ended ? fullTime(latest.timestamp) : undefined}>${took}</td></tr>`;
  }, [row, index, wallet, since, took, isActive, isSelected, isCancelling]);
}
