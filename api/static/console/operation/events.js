// All events of an operation, with a filter.
import { html, useState } from "/static/third_party/preact.js";
import { duration, fullTime, percent, shorten, shortTime } from "/static/console/format.js";
import { T } from "/static/console/texts.js";

const X = T.operation;

/** `wallets` are the rows of wallet-rows.js. */
export function Events({ events, from, wallets, isComplete }) {
  const names = new Map(wallets.map(({ wallet, number }) => [wallet, X.walletOf(number, shorten(wallet))]));
  const [filter, setFilter] = useState("");
  const wanted = filter.trim().toLowerCase();
  const shown = events.filter((event) => !wanted || JSON.stringify(event).toLowerCase().includes(wanted));
  return html`<details class="panel fold events"><summary><h3>${X.events} <span class="soft number">${events.length}</span></h3></summary>
    <input type="search" aria-label=${X.filterEvents} placeholder=${X.filterEvents} value=${filter} onInput=${({ target }) => setFilter(target.value)} />
    ${!isComplete && html`<p class="soft">${X.olderMissing}</p>`}
    ${shown.length === 0 ? html`<p class="soft">${X.noEvents}</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label=${X.events}><table>
      <thead><tr>${Object.entries(X.eventColumns).map(([name, text]) => html`<th scope="col" class=${`e-${name}`}>${text}</th>`)}</tr></thead>
      <tbody>${shown.map((event) => html`<${Row} key=${event.seq} event=${event} from=${from} names=${names} />`)}</tbody></table></div>`}</details>`;
}

function Row({ event: { seq, timestamp, progress, details = {}, phaseDescription }, from, names }) {
  const { lastStep } = details;
  const text = details.error ?? details.currentOperation ?? phaseDescription;
  const step = lastStep && X.stepOf(`${X[lastStep.kind]} ${lastStep.status}`, names.get(lastStep.wallet) ?? shorten(lastStep.wallet));
  const isBad = lastStep && lastStep.status !== "confirmed";
  return html`<tr><td class="e-seq number">${seq}</td>
    <td class="e-time number"><time datetime=${new Date(timestamp).toISOString()} title=${fullTime(timestamp)}>${shortTime(timestamp)}</time></td>
    <td class="e-after number">+${duration(timestamp - from)}</td><td class="e-progress number">${percent(progress)}</td>
    <td class="e-text">${text}${step && html` <span class=${isBad ? "error" : "soft step"}>${step}${lastStep.error && `: ${lastStep.error}`}</span>`}</td></tr>`;
}
