// The wallets of an operation: when each made its transfer and buys, and with what result.
import { html, useEffect, useRef } from "/static/third_party/preact.js";
import { duration, shorten, shortTime } from "/static/console/format.js";
import { addressOf } from "/static/console/operations/filters.js";
import { T } from "/static/console/texts.js";
import { Copy, FineSol, Icon, Price, Signature, Tokens } from "/static/console/ui.js";

const MIN_WIDTH = 0.5; // per cent of the chart, so that the shortest step is visible
const COLUMNS = ["wallet", "timeline", "result", "tokens", "price", "spent", "fee", "transactions"];
const ICONS = { bought: "completed", failed: "failed", unknown: "unknown", running: "running", funded: "waiting", leftFunded: "partial", left: "cancelled", waiting: "waiting" };
const X = T.operation;

/** `axisMs`: the duration of the whole chart. `run` is that of wallet-rows.js, `wallets` those of its rows that are shown; steps in flight extend to `nowMs`. */
export function Waterfall({ run, wallets = run.wallets, nowMs, axisMs, marked }) {
  const { from } = run;
  if (!run.wallets.length) return html`<p class="soft">${run.to ? X.noBuysPlanned : X.noWallets}</p>`;
  return html`<table class="waterfall">
      <caption class="hidden">${X.wallets}</caption>
      <thead><tr>${COLUMNS.map((name) => html`<th scope="col" class=${`w-${name}`} title=${name === "fee" ? X.feeTitle : undefined}>${X.columns[name]}
        ${name === "timeline" && html`<${Axis} axisMs=${axisMs} />`}</th>`)}</tr></thead>
      <tbody>${wallets.map((row) => html`<${WalletRow} key=${row.wallet} row=${row} from=${from} nowMs=${nowMs} axisMs=${axisMs} isMarked=${row.wallet === marked} />`)}</tbody>
    </table><${Legend} wallets=${run.wallets} />`;
}

export const Axis = ({ axisMs }) => html`<span class="axis number" aria-hidden="true"><span>0</span><span>${duration(axisMs / 2)}</span><span>${duration(axisMs)}</span></span>`;

function WalletRow({ row, from, nowMs, axisMs, isMarked }) {
  const { wallet, number, bars, result, tokens, price, spent, fee, transactions } = row;
  const node = useRef();
  useEffect(() => { if (isMarked) node.current.scrollIntoView({ block: "center" }); }, [isMarked]);
  const cell = (name, content) => html`<td class=${`w-${name}`} data-empty=${String(content === "–")} data-label=${X.columns[name]}>${content}</td>`;
  return html`<tr ref=${node} data-result=${result.result} data-marked=${String(isMarked)}>
    <th scope="row" class="w-wallet"><span class="soft number">${number}</span> <${WalletLink} wallet=${wallet} /><${Copy} text=${wallet} target=${T.targets.wallet} /></th>
    ${cell("timeline", html`<${Track} bars=${bars} from=${from} nowMs=${nowMs} axisMs=${axisMs} />`)}
    ${cell("result", html`<${Result} row=${row} />`)}
    ${cell("tokens", tokens ? html`<${Tokens} baseUnits=${tokens} />` : "–")}
    ${cell("price", price ? html`<${Price} amount=${price} />` : "–")}
    ${cell("spent", spent === null ? "–" : html`<${FineSol} amount=${spent} />`)}
    ${cell("fee", fee === null ? "–" : html`<${FineSol} amount=${fee} />`)}
    ${cell("transactions", transactions.length ? transactions.map(({ kind, signature }) => html`<span class="transaction"><span class="soft">${X[kind]}</span> <${Signature} signature=${signature} /></span>`) : "–")}
  </tr>`;
}

/** A wallet, with a link to all its operations. */
export const WalletLink = ({ wallet }) => html`<a class="mono" href=${addressOf({ wallet })} title=${wallet} aria-label=${X.openWallet(shorten(wallet))}>${shorten(wallet)}</a>`;

export const Track = ({ bars, from, nowMs, axisMs }) => html`<span class="track">${bars.map((bar) => html`<${Bar} bar=${bar} from=${from} nowMs=${nowMs} axisMs=${axisMs} />`)}</span>`;

/** The result of a wallet, and in a second line the reason of a failure, or the author of a recorded result. */
export function Result({ row: { result, reason } }) {
  const { recorded } = result;
  const note = recorded ? X.recordedBy(recorded.by, shortTime(recorded.at)) : reason && (reason.text ?? reason.code);
  return html`<span class="result"><${Icon} kind=${ICONS[result.result]} />${stepText(result)}${result.count && `, ${result.count}`}</span>
    ${note && html`<span class="reason" title=${recorded ? note : `${reason.code}: ${note}`}>${note}</span>`}`;
}

/** Return the result of a wallet as text; a failed, unknown or recorded step is named. */
export function stepText({ result, failedKind, recorded }) {
  if (recorded) return X.recordedAs(X[recorded.kind], recorded.executed);
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
