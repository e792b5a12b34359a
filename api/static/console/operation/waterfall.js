// The wallets of an operation: when each made its transfer and buys, and with what result.
import { html } from "/static/third_party/preact.js";
import { duration, shorten } from "/static/console/format.js";
import { T } from "/static/console/texts.js";
import { Copy, FineSol, Icon, Price, Signature, Tokens } from "/static/console/ui.js";

const MIN_WIDTH = 0.5; // per cent of the chart, so that the shortest step is visible
const COLUMNS = ["wallet", "timeline", "result", "tokens", "price", "spent", "fee", "transactions"];
const ICONS = { bought: "completed", failed: "failed", unknown: "unknown", running: "running", skipped: "cancelled", left: "cancelled", waiting: "waiting" };
const X = T.operation;

/** `axisMs`: the duration of the whole chart. `run` is that of wallet-rows.js; steps in flight extend to `nowMs`. */
export function Waterfall({ run, nowMs, axisMs }) {
  const { wallets, from } = run;
  if (!wallets.length) return html`<p class="soft">${run.to ? X.noBuysPlanned : X.noWallets}</p>`;
  return html`<table class="waterfall">
      <caption class="hidden">${X.wallets}</caption>
      <thead><tr>${COLUMNS.map((name) => html`<th scope="col" class=${`w-${name}`} title=${name === "fee" ? X.feeTitle : undefined}>${X.columns[name]}
        ${name === "timeline" && html`<${Axis} axisMs=${axisMs} />`}</th>`)}</tr></thead>
      <tbody>${wallets.map((row, index) => html`<${WalletRow} key=${row.wallet} row=${row} number=${index + 1} from=${from} nowMs=${nowMs} axisMs=${axisMs} />`)}</tbody>
    </table><${Legend} wallets=${wallets} />`;
}

const Axis = ({ axisMs }) => html`<span class="axis number" aria-hidden="true"><span>0</span><span>${duration(axisMs / 2)}</span><span>${duration(axisMs)}</span></span>`;

function WalletRow({ row, number, from, nowMs, axisMs }) {
  const { wallet, bars, result, reason, tokens, price, spent, fee, transactions } = row;
  const cell = (name, content) => html`<td class=${`w-${name}`} data-empty=${String(content === "–")} data-label=${X.columns[name]}>${content}</td>`;
  return html`<tr data-result=${result.result}>
    <th scope="row" class="w-wallet"><span class="soft number">${number}</span> <span class="mono" title=${wallet}>${shorten(wallet)}</span><${Copy} text=${wallet} target=${T.targets.wallet} /></th>
    ${cell("timeline", html`<span class="track">${bars.map((bar) => html`<${Bar} bar=${bar} from=${from} nowMs=${nowMs} axisMs=${axisMs} />`)}</span>`)}
    ${cell("result", html`<span class="result"><${Icon} kind=${ICONS[result.result]} />${stepText(result)}${result.count && `, ${result.count}`}</span>
      ${reason && html`<span class="reason" title=${reason.code}>${reason.text ?? reason.code}</span>`}`)}
    ${cell("tokens", tokens ? html`<${Tokens} baseUnits=${tokens} />` : "–")}
    ${cell("price", price ? html`<${Price} amount=${price} />` : "–")}
    ${cell("spent", spent === null ? "–" : html`<${FineSol} amount=${spent} />`)}
    ${cell("fee", fee === null ? "–" : html`<${FineSol} amount=${fee} />`)}
    ${cell("transactions", transactions.length ? transactions.map(({ kind, signature }) => html`<span class="transaction"><span class="soft">${X[kind]}</span> <${Signature} signature=${signature} /></span>`) : "–")}
  </tr>`;
}

/** Return the result of a wallet as text; a failed or unknown step is named. */
export function stepText({ result, failedKind }) {
  if (!failedKind) return X.results[result];
  return (result === "failed" ? X.failedAt : X.unknownAt)(X[failedKind]);
}

function Bar({ bar: { kind, status, from: begin, to }, from, nowMs, axisMs }) {
  const end = to ?? Math.max(begin, nowMs);
  const share = (ms) => (ms / axisMs) * 100;
  const style = { left: `${Math.min(100 - MIN_WIDTH, share(begin - from))}%`, width: `${Math.max(MIN_WIDTH, share(end - begin))}%` };
  const text = X.bar(X[kind], status === "running" ? X.inFlight : status, duration(end - begin));
  return html`<span class=${`span ${kind} ${status}`} style=${style} title=${text}><span class="hidden">${text}</span></span>`;
}

/** The meaning of the colours in the chart. */
function Legend({ wallets }) {
  const bars = wallets.flatMap((row) => row.bars);
  const has = { transfer: ({ kind }) => kind === "transfer", buy: ({ kind }) => kind === "buy", failed: ({ status }) => status === "failed", unknown: ({ status }) => status === "unknown" };
  const names = Object.keys(has).filter((name) => bars.some(has[name]));
  return html`<p class="legend">${names.map((name) => html`<span><i class=${`span ${name}`}></i>${X.legend[name]}</span>`)}</p>`;
}
