// Banners above every view: a lost connection, and a system without workers.
import { html } from "/static/third_party/preact.js";
import { ago } from "/static/console/format.js";
import { useNow, useObservable, useRequest } from "/static/console/observable.js";
import { T } from "/static/console/texts.js";

const SYSTEM_INTERVAL_MS = 5_000;
const NO_WORKER_MS = 15_000; // without a live worker until the banner appears

export const Banners = ({ session }) => html`<div class="banners"><${Stale} session=${session} />${session.isOperator && html`<${NoWorker} session=${session} />`}</div>`;

function Stale({ session }) {
  const { state, error, heardMs } = useObservable(session.connection);
  const isLost = state === "waiting" || state === "refused" || (state === "connecting" && heardMs !== null);
  const nowMs = useNow(isLost ? 1_000 : 0);
  if (!isLost) return null;
  return html`<p class="banner" data-kind="stale" role="alert"><span>${T.stale(heardMs && ago(heardMs, nowMs))} ${state === "refused" ? error?.message : ""}</span>
    <button type="button" onClick=${() => session.client.reconnect()}>${T.tryNow}</button></p>`;
}

function NoWorker({ session }) {
  return null;
}
