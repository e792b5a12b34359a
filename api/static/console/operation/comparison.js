// Two runs: their differences, and their wallets in one table on one axis.
import { html, useState } from "/static/third_party/preact.js";
import { duration, exactSol, exactTokens, fineSol, price, shortId, shorten, tokens } from "/static/console/format.js";
import { displayState } from "/static/console/outcome.js";
import { NoRun, useRun } from "/static/console/operation/run.js";
import { Summary } from "/static/console/operation/summary.js";
import { Axis, Result, Track, WalletLink } from "/static/console/operation/waterfall.js";
import { T } from "/static/console/texts.js";

const PARAMETERS = ["tokenAddress", "userId", "mode", "platform", "buyAmount"];
const X = T.compare;

export function Comparison({ session, jobIds: [one, other], replayMs, onEnd }) {
  const views = [useRun(session, one, replayMs, onEnd), useRun(session, other, replayMs, onEnd)];
  const summaries = html`<div class="runs" data-count="2">${views.map((view) => html`<article class="run" key=${view.jobId}>
    ${view.run ? html`<${Summary} session=${session} view=${view} isLinked />` : html`<${NoRun} view=${view} />`}</article>`)}</div>`;
  return html`${summaries}${views.every(({ run }) => run) && html`<${Differences} views=${views} /><${ComparedWallets} views=${views} />`}`;
}

/** The totals of both runs, and the parameters in which they differ. */
function Differences({ views }) {
  const [one, other] = views.map(totalsOf);
  const rows = [
    [X.facts.outcome, ...views.map(({ latest, needsReview }) => displayState(latest, needsReview).text), ""],
    numbers(X.facts.bought, one.bought, other.bought, String),
    numbers(X.facts.duration, one.lengthMs, other.lengthMs, duration),
    numbers(X.facts.waited, one.waitedMs, other.waitedMs, duration),
    numbers(X.facts.spent, one.spent, other.spent, fineSol, exactSol),
    numbers(X.facts.fees, one.fees, other.fees, fineSol, exactSol),
    numbers(X.facts.tokens, one.tokens, other.tokens, tokens, exactTokens),
    numbers(X.facts.price, one.price, other.price, price),
    ...PARAMETERS.filter((name) => views[0].latest[name] !== views[1].latest[name])
      .map((name) => [T.operation.fields[name], ...views.map(({ latest }) => (name === "buyAmount" ? exactSol(latest[name]) : shorten(String(latest[name]), 6))), X.different]),
  ];
  return html`<section class="panel"><h3>${X.differences}</h3>
    <table class="facts-table differences"><caption class="hidden">${X.differences}</caption><thead><tr><th scope="col"><span class="hidden">${X.fact}</span></th>
      ${views.map(({ jobId }) => html`<th scope="col" class="mono">${shortId(jobId)}</th>`)}<th scope="col">${X.difference}</th></tr></thead>
    <tbody>${rows.map(([name, ...cells]) => html`<tr><th scope="row">${name}</th>${cells.map((cell) => html`<td class="number">${cell}</td>`)}</tr>`)}</tbody></table></section>`;
}

/** Return a row: both values, and by how much the second is larger. */
function numbers(name, one, other, format, exact = format) {
  const show = (value) => (value === null ? "–" : html`<span title=${exact(value)}>${format(value)}</span>`);
  const change = one === null || other === null ? null : other - one;
  const share = change && one ? ` (${change > 0 ? "+" : "−"}${Math.round(Math.abs(change / one) * 100)} %)` : "";
  return [name, show(one), show(other), change === null ? "" : change === 0 ? X.same : `${change > 0 ? "+" : "−"}${format(Math.abs(change))}${share}`];
}

function totalsOf({ run: { wallets, phases }, lengthMs, nowMs }) {
  const sum = (name) => wallets.reduce((total, row) => total + (row[name] ?? 0), 0);
  const waiting = phases.find(({ phase }) => phase === 1);
  const bought = sum("tokens");
  return {
    lengthMs, waitedMs: waiting ? (waiting.to ?? nowMs) - waiting.from : null, spent: sum("spent"), fees: sum("fee"), tokens: bought,
    bought: wallets.filter(({ result }) => result.result === "bought").length,
    price: bought ? wallets.reduce((total, row) => total + (row.price ?? 0) * row.tokens, 0) / bought : null,
  };
}

function ComparedWallets({ views }) {
  const [isDifferentOnly, setDifferentOnly] = useState(false);
  const [one, other] = views.map(({ run }) => run.wallets);
  const all = pairsOf(one, other);
  const different = all.filter(([first, second]) => first?.result.result !== second?.result.result);
  const axisMs = Math.max(1, ...views.map(({ lengthMs }) => lengthMs));
  return html`<section class="panel"><div class="list-head"><h3>${T.operation.wallets}</h3>
      ${different.length > 0 && different.length < all.length && html`<button type="button" aria-pressed=${String(isDifferentOnly)} onClick=${() => setDifferentOnly(!isDifferentOnly)}>${X.onlyDifferent(different.length)}</button>`}</div>
    <table class="waterfall compared"><caption class="hidden">${T.operation.wallets}</caption>
      <thead><tr><th scope="col" class="w-wallet">${T.operation.columns.wallet}</th>
        ${views.map(({ jobId }) => html`<th scope="col"><span class="mono">${shortId(jobId)}</span><${Axis} axisMs=${axisMs} /></th>`)}</tr></thead>
      <tbody>${(isDifferentOnly ? different : all).map((pair) => html`<tr key=${(pair[0] ?? pair[1]).wallet} data-different=${String(different.includes(pair))}>
        <th scope="row" class="w-wallet"><${Names} pair=${pair} /></th>
        ${pair.map((row, index) => html`<${Cell} row=${row} view=${views[index]} axisMs=${axisMs} />`)}</tr>`)}</tbody></table></section>`;
}

/** Return pairs of rows: of the same wallet, or of the same number if the runs have no wallet in common. */
export function pairsOf(one, other) {
  const others = new Map(other.map((row) => [row.wallet, row]));
  if (!one.some(({ wallet }) => others.has(wallet))) return Array.from({ length: Math.max(one.length, other.length) }, (_, index) => [one[index], other[index]]);
  const known = new Set(one.map(({ wallet }) => wallet));
  return [...one.map((row) => [row, others.get(row.wallet)]), ...other.filter(({ wallet }) => !known.has(wallet)).map((row) => [undefined, row])];
}

const Names = ({ pair: [one, other] }) => html`<span class="soft number">${(one ?? other).number}</span>
  <span class="names">${one && html`<${WalletLink} wallet=${one.wallet} />`}${other && other.wallet !== one?.wallet && html`<${WalletLink} wallet=${other.wallet} />`}</span>`;

function Cell({ row, view: { jobId, from, nowMs }, axisMs }) {
  if (!row) return html`<td class="w-run soft" data-label=${shortId(jobId)}>${X.notUsed}</td>`;
  return html`<td class="w-run" data-label=${shortId(jobId)} data-result=${row.result.result}><${Track} bars=${row.bars} from=${from} nowMs=${nowMs} axisMs=${axisMs} />
    <span class="w-line"><span class="w-result"><${Result} row=${row} /></span>
      <span class="number soft">${row.tokens > 0 && html`<span title=${exactTokens(row.tokens)}>${X.tokens(tokens(row.tokens))}</span> · `}${row.spent !== null && html`<span title=${exactSol(row.spent)}>${fineSol(row.spent)} SOL</span>`}</span></span></td>`;
}
