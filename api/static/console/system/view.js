// The state of the system, at "/system".
import { html } from "/static/third_party/preact.js";
import { bytes, duration, integer } from "/static/console/format.js";
import { useRequest } from "/static/console/observable.js";
import { operationPath } from "/static/console/router.js";
import { MinutesChart, OUTCOMES } from "/static/console/system/minutes-chart.js";
import { T } from "/static/console/texts.js";
import { Empty, Failure, Loading, Time } from "/static/console/ui.js";

const INTERVAL_MS = 3_000;
const RECENT_MS = 600_000; // a lost process needs attention for this time, as docs/how-to/console.md says
const X = T.system;

export function SystemView({ session }) {
  const { data, error, reload } = useRequest(() => session.rest.request("GET", "/api/cto/system"), "system", session.isOperator ? INTERVAL_MS : 0);
  if (!session.isOperator) return html`<h1>${X.title}</h1><${Empty} title=${X.onlyOperators} />`;
  return html`<div class="list-head"><h1>${X.title}</h1>${data && html`<span class="soft">${X.version(data.version)}</span>`}</div>
    ${error && html`<${Failure} error=${error} retry=${reload} />`}
    ${data ? html`<${State} state=${data} />` : !error && html`<${Loading} />`}`;
}

function State({ state: { workers, gateways, lost, queues, jobs, oldestWaiting, lastHour, minutes, store } }) {
  const running = workers.reduce((sum, worker) => sum + worker.operations, 0);
  const slots = workers.reduce((sum, worker) => sum + worker.slots, 0);
  const clients = gateways.flatMap((gateway) => Object.values(gateway.connections)).reduce((sum, number) => sum + number, 0);
  const tile = (name, value, note, kind = "") => html`<div class="tile panel" data-kind=${kind}><dt>${X.tiles[name]}</dt><dd><strong>${value}</strong> <span class="soft">${note}</span></dd></div>`;
  return html`<dl class="tiles">
      ${tile("workers", integer(workers.length), X.slots(running, slots), workers.length ? "" : "bad")}
      ${tile("gateways", integer(gateways.length), X.clients(clients))}
      ${tile("waiting", integer(jobs.waiting), oldestWaiting ? html`<a href=${operationPath(oldestWaiting.jobId)}>${X.oldest(duration(oldestWaiting.ageMs))}</a>` : X.nothingWaits)}
      ${tile("active", integer(jobs.active), "")}
      ${tile("needsReview", html`<a href="/review">${integer(jobs.needsReview)}</a>`, "", jobs.needsReview ? "warn" : "")}
      ${tile("memory", bytes(store.memoryBytes), X.limit(bytes(store.memoryLimitBytes)))}</dl>
    <section class="panel"><h2>${X.lastHour}</h2>
      <p class="outcomes">${OUTCOMES.map((outcome) => html`<span class=${outcome}><i></i>${integer(lastHour[outcome])} ${X.outcomes[outcome]}</span>`)}</p>
      <${MinutesChart} minutes=${minutes} />
      <${Latencies} lastHour=${lastHour} /></section>
    <${Lost} title=${X.lost} hint=${X.lostHint} kind="bad" processes=${lost.filter(isRecent)} />
    <section class="panel"><h2>${X.workers}</h2>${workers.length === 0 ? html`<p class="error">${X.none}</p>`
      : html`<${Table} name=${X.workers} columns=${["id", "operations", "market", "heartbeat", "version"]} rows=${workers.map((each) => [each.id, html`<${Slots} used=${each.operations} all=${each.slots} />`, each.market, X.before(duration(each.heartbeatAgeMs)), each.version])} />`}</section>
    <section class="panel"><h2>${X.gateways}</h2>
      <${Table} name=${X.gateways} columns=${["id", "connections", "delay", "heartbeat", "version"]} rows=${gateways.map((each) => [each.id, connectionsOf(each), duration(each.relayDelayMs), X.before(duration(each.heartbeatAgeMs)), each.version])} />
      <p class="hint">${X.delayHint}</p></section>
    <${Lost} title=${X.lostEarlier} hint=${X.lostEarlierHint} processes=${lost.filter((each) => !isRecent(each))} />
    <section class="panel"><h2>${X.queues}</h2><${Table} name=${X.queues} columns=${["queue", "messages"]} rows=${Object.entries(queues).map(([name, number]) => [name, integer(number)])} />
      <p class="soft">${X.snapshot} <${Time} ms=${store.snapshotAt} /></p></section>`;
}

const isRecent = ({ heartbeatAgeMs }) => heartbeatAgeMs < RECENT_MS;

/** Processes that stopped without a clean exit, the last one first. */
function Lost({ title, hint, kind, processes }) {
  if (!processes.length) return null;
  const nowMs = Date.now();
  const rows = [...processes].sort((one, other) => one.heartbeatAgeMs - other.heartbeatAgeMs)
    .map((each) => [each.id, each.kind, html`<${Time} ms=${nowMs - each.heartbeatAgeMs} nowMs=${nowMs} />`, each.version]);
  return html`<section class="panel" data-kind=${kind}><h2>${title}</h2>
    <${Table} name=${title} columns=${["id", "kind", "lastSeen", "version"]} rows=${rows} /><p class="hint">${hint}</p></section>`;
}

const connectionsOf = ({ connections }) => Object.entries(connections).filter(([, number]) => number).map(([name, number]) => `${integer(number)} ${name}`).join(", ") || "0";

const Slots = ({ used, all }) => html`<span class="slots"><span class="progress"><i style=${{ transform: `scaleX(${all ? used / all : 0})` }}></i></span> <span class="number">${used}/${all}</span></span>`;

const Table = ({ name, columns, rows }) => html`<div class="scroll" tabindex="0" role="region" aria-label=${name}><table class="facts-table"><thead><tr>${columns.map((name) => html`<th scope="col">${X.columns[name]}</th>`)}</tr></thead>
  <tbody>${rows.map((cells) => html`<tr>${cells.map((cell, index) => (index ? html`<td class="number" data-label=${X.columns[columns[index]]}>${cell}</td>` : html`<th scope="row" class="mono">${cell}</th>`))}</tr>`)}</tbody></table></div>`;

function Latencies({ lastHour }) {
  const row = (name, times) => [X.latencies[name], ...["p50Ms", "p95Ms", "p99Ms"].map((quantile) => (times ? duration(times[quantile]) : "–"))];
  return html`<${Table} name=${X.columns.latency} columns=${["latency", "p50", "p95", "p99"]} rows=${[row("wait", lastHour.wait), row("duration", lastHour.duration)]} />`;
}
