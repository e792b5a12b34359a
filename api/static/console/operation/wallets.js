// The wallets of a run, with their failures as filters.
import { html, useState } from "/static/third_party/preact.js";
import { stepText, Waterfall } from "/static/console/operation/waterfall.js";
import { T } from "/static/console/texts.js";
import { Icon } from "/static/console/ui.js";

const ORDER = { failed: 0, unknown: 1, leftFunded: 2, left: 3 }; // with "failed first"; all others follow
const X = T.operation;

export function Wallets({ run, nowMs, axisMs, marked }) {
  const [group, setGroup] = useState(null); // the key of the failures that are shown
  const [isFailedFirst, setFailedFirst] = useState(false);
  const groups = failuresOf(run.wallets);
  const chosen = groups.get(group)?.wallets ?? run.wallets;
  const shown = isFailedFirst ? [...chosen].sort((one, other) => rank(one) - rank(other)) : chosen;
  return html`${groups.size > 0 && html`<div class="wallet-filters"><ul class="failures">${[...groups].map(([key, { text, result, reason, wallets }]) => html`
      <li key=${key} data-result=${result}><button type="button" class="quiet" aria-pressed=${String(key === group)} onClick=${() => setGroup(key === group ? null : key)}>
        <span class="result"><${Icon} kind=${result} />${X.failures(wallets.length, text, reason)}</span></button></li>`)}</ul>
      ${chosen !== run.wallets ? html`<button type="button" onClick=${() => setGroup(null)}>${X.showAll}</button>`
        : run.wallets.length > 1 && html`<button type="button" aria-pressed=${String(isFailedFirst)} onClick=${() => setFailedFirst(!isFailedFirst)}>${X.failedFirst}</button>`}</div>`}
    <${Waterfall} run=${run} wallets=${shown} nowMs=${nowMs} axisMs=${axisMs} marked=${marked} />`;
}

/** Return the failures by step and reason: the answer to "which wallets failed, and why". */
export function failuresOf(wallets) {
  const groups = new Map();
  for (const row of wallets) {
    const { result, reason } = row;
    if (!result.failedKind) continue;
    const text = stepText(result);
    const key = `${text} ${reason?.text}`;
    if (!groups.has(key)) groups.set(key, { text, result: result.result, reason: reason?.text, wallets: [] });
    groups.get(key).wallets.push(row);
  }
  return groups;
}

const rank = ({ result }) => ORDER[result.result] ?? Object.keys(ORDER).length;
