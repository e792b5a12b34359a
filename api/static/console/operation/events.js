// All events of an operation, with a filter.
import { html, useState } from "/static/third_party/preact.js";
import { duration, fullTime, percent, shortTime } from "/static/console/format.js";
import { T } from "/static/console/texts.js";

const X = T.operation;

export function Events({ events, from, isComplete }) {
  const [filter, setFilter] = useState("");
  const wanted = filter.trim().toLowerCase();
  const shown = events.filter((event) => !wanted || JSON.stringify(event).toLowerCase().includes(wanted));
  return html`<details class="panel fold events"><summary><h3>${X.events} <span class="soft number">${events.length}</span></h3></summary>
    <input type="search" aria-label=${X.filterEvents} placeholder=${X.filterEvents} value=${filter} onInput=${({ target }) => setFilter(target.value)} />
    ${!isComplete && html`<p class="soft">${X.olderMissing}</p>`}
    ${shown.length === 0 ? html`<p class="soft">${X.noEvents}</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label=${X.events}><table>
      <thead><tr>${Object.entries(X.eventColumns).map(([name, text]) => html`<th scope="col" class=${`e-${name}`}>${text}</th>`)}</tr></thead>
      <tbody>${shown.map((event) => html`<${Row} key=${event.seq} event=${event} from=${from} />`)}</tbody></table></div>`}</details>`;
}

function Row({ event: { seq, timestamp, progress, details = {}, phaseDescription }, from }) {
  const { lastStep } = details;
  const failure = details.error ?? lastStep?.error;
  const text = details.error ?? details.currentOperation ?? phaseDescription;
  return html`<tr><td class="e-seq number">${seq}</td>
    <td class="e-time number"><time datetime=${new Date(timestamp).toISOString()} title=${fullTime(timestamp)}>${shortTime(timestamp)}</time></td>
    <td class="e-after number">+${duration(timestamp - from)}</td><td class="e-progress number">${percent(progress)}</td>
    <td class="e-text">${text}${lastStep?.error && !details.error && html` <span class="error">${failure}</span>`}</td></tr>`;
}
