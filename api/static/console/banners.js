// Banners above every view: a lost connection, and a system without workers.
import { html } from "/static/third_party/preact.js";
import { ago, duration } from "/static/console/format.js";
import { useNow, useObservable, useRequest } from "/static/console/observable.js";
import { T } from "/static/console/texts.js";

const INTERVAL_MS = 5_000;
const NO_WORKER_MS = 15_000; // an operation that waits longer shows that no worker is free

export const Banners = ({ session }) => html`<div class="banners"><${Stale} session=${session} />
  <${session.isOperator ? NoWorker : LongWait} session=${session} /></div>`;

function Stale({ session }) {
  const { state, error, heardMs } = useObservable(session.connection);
  const isLost = state === "waiting" || state === "refused" || (state === "connecting" && heardMs !== null);
  return isLost && html`<${Lost} session=${session} state=${state} error=${error} heardMs=${heardMs} />`;
}

function Lost({ session, state, error, heardMs }) {
  const nowMs = useNow();
  return html`<p class="banner" data-kind="stale" role="alert"><span>${T.stale(heardMs && ago(heardMs, nowMs))} ${state === "refused" ? error?.message : ""}</span>
    <button type="button" onClick=${() => session.client.reconnect()}>${T.tryNow}</button></p>`;
}

/** For operators: the gateway lists the running workers. */
function NoWorker({ session }) {
  const { data, error } = useRequest(() => session.rest.request("GET", "/api/cto/system"), "workers", INTERVAL_MS);
  return data?.workers.length === 0 && !error && html`<p class="banner" data-kind="workers" role="alert">${T.noWorker}</p>`;
}

/** For users, who cannot see the workers: the longest wait of one of their operations. */
function LongWait({ session }) {
  const nowMs = useNow(INTERVAL_MS);
  const waiting = session.events.snapshot.jobs.filter(({ latest }) => latest?.attempt === 0 && latest.status === "started");
  const waitMs = Math.max(0, ...waiting.map(({ latest }) => nowMs - latest.timestamp));
  return waitMs > NO_WORKER_MS && html`<p class="banner" data-kind="workers" role="alert">${T.waitsForWorker(duration(waitMs))}</p>`;
}
