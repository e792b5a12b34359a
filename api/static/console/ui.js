// Small parts that several views use.
import { html, useEffect, useRef, useState } from "/static/third_party/preact.js";
import { explorerUrl } from "/static/console/config.js";
import { ago, exactPrice, exactSol, exactTokens, fullTime, fineSol, price, shortTime, shorten, sol, tokens } from "/static/console/format.js";
import { useNow } from "/static/console/observable.js";
import { buyParts, buyText } from "/static/console/outcome.js";
import { T } from "/static/console/texts.js";

const FEEDBACK_MS = 1_500;
const MINUTE_MS = 60_000;
const ICONS = {
  waiting: "M8 3.5v5l3 2M8 14A6 6 0 1 1 8 2a6 6 0 0 1 0 12Z", running: "M5.5 3.5v9l7-4.5z", completed: "m3.5 8.5 3 3 6-7",
  partial: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12", failed: "m4 4 8 8m0-8-8 8", review: "M8 3v6m0 3v.5", reviewed: "M8 3v6m0 3v.5",
  cancelled: "M3 8h10", close: "m4 4 8 8m0-8-8 8", copy: "M6 5.5h7.5V14H6zM10 5V2.5H2.5V11H5.5", back: "m9.5 3.5-5 4.5 5 4.5", unknown: "M8 3v6m0 3v.5",
};

export const Icon = ({ kind }) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${ICONS[kind]}></path></svg>`;

export const Badge = ({ state: { kind, text } }) => html`<span class="badge" data-state=${kind}><${Icon} kind=${kind} />${text}</span>`;

/** The reason of a state, in up to two lines. Codes may break after an underscore. */
export const Reason = ({ text, title = text }) => html`<span class="reason soft" title=${title}>${text.split("_").map((part, index) => (index ? html`_<wbr />${part}` : part))}</span>`;

/** An amount of SOL, rounded; the exact value is its title, with a note if there is one. */
export const Sol = ({ amount, unit = false, note = "" }) => html`<span class="number" title=${note ? `${exactSol(amount)} (${note})` : exactSol(amount)}>${sol(amount)}${unit ? " SOL" : ""}</span>`;

/** An amount of SOL of a single wallet, with fees. */
export const FineSol = ({ amount }) => html`<span class="number" title=${exactSol(amount)}>${fineSol(amount)}</span>`;

export const Tokens = ({ baseUnits }) => html`<span class="number" title=${exactTokens(baseUnits)}>${tokens(baseUnits)}</span>`;

export const Price = ({ amount }) => html`<span class="number" title=${exactPrice(amount)}>${price(amount)}</span>`;

/** A moment: the time of day, the date if it is not today, and how long ago it was. */
export const Time = ({ ms, nowMs, relative = true, since = relative && ago(ms, nowMs) }) => html`<time datetime=${new Date(ms).toISOString()} title=${fullTime(ms)}>
  <span class="clock">${shortTime(ms, nowMs)}</span>${since && html` <span class="ago">${since}</span>`}</time>`;

/** A moment, and how long ago it was: the text is drawn again as time passes. */
export function LiveTime({ ms }) {
  const nowMs = useNow(Date.now() - ms < MINUTE_MS ? 1_000 : MINUTE_MS / 2);
  return html`<${Time} ms=${ms} nowMs=${nowMs} />`;
}

/** A moment with its date and zone, and how long ago it was. */
export const Moment = ({ ms }) => html`<time datetime=${new Date(ms).toISOString()}><span class="clock number">${fullTime(ms)}</span> <span class="ago">${ago(ms)}</span></time>`;

/** Buys of an operation: a bar that is split by their results, and "8/10". */
export function Buys({ latest, recorded }) {
  const { bought, planned, parts } = buyParts(latest, recorded);
  if (!planned) return "–";
  return html`<span class="buys" title=${buyText(latest, recorded)}>
    <span class="parts" aria-hidden="true">${parts.map(([part, count]) => html`<i class=${part} style=${{ flexGrow: count }}></i>`)}</span>
    <span class="number">${bought}/${planned}</span></span>`;
}

/** A button that copies a text to the clipboard and confirms it: an icon, with a label if there is one. */
export function Copy({ text, target, label }) {
  const [state, setState] = useState("");
  const timer = useRef();
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setState(T.copied);
    } catch {
      setState(T.cannotCopy);
    }
    clearTimeout(timer.current);
    timer.current = setTimeout(setState, FEEDBACK_MS, "");
  };
  const name = `${state || label || T.copy} ${target}`;
  return html`<button class="copy" type="button" aria-label=${name} title=${name} data-copied=${String(state === T.copied)} onClick=${copy}>
    <${Icon} kind=${{ [T.copied]: "completed", [T.cannotCopy]: "failed" }[state] ?? "copy"} />${label}</button>`;
}

/** A shortened address, with a button that copies it. */
export const Address = ({ text, target, keep }) => html`<span class="address"><span class="mono" title=${text}>${shorten(text, keep)}</span>
  <${Copy} text=${text} target=${target} /></span>`;

/** The signature of a transaction, with a link to the explorer if one is configured. */
export function Signature({ signature }) {
  const url = explorerUrl(signature);
  return url ? html`<${ExternalId} id=${signature} url=${url} title=${T.openExplorer(signature)} target=${T.signature} />`
    : html`<${Address} text=${signature} target=${T.signature} />`;
}

/** A shortened id that links to another site, with a button that copies it. */
export const ExternalId = ({ id, url, title, target }) => html`<span class="address">
  <a class="mono" href=${url} target="_blank" rel="noopener noreferrer" title=${title}>${shorten(id)}</a><${Copy} text=${id} target=${target} /></span>`;

/** The placeholders of a view that loads, has an error, or is empty. */
export const Loading = () => html`<p class="placeholder" role="status">${T.loading}</p>`;

export const Failure = ({ error, retry }) => html`<div class="placeholder failure" role="alert"><p>${errorText(error)}</p>
  ${retry && html`<button type="button" onClick=${retry}>${T.retry}</button>`}</div>`;

export const Empty = ({ title, children }) => html`<div class="placeholder"><p><strong>${title}</strong></p>${children}</div>`;

/** Return the text of an error: that of its fields, if it has any. */
export function errorText(error) {
  const fields = Object.entries(error.details?.fields ?? {}).map(([name, texts]) => `${name}: ${joined(texts)}`);
  return fields.join(" ") || T.errors[error.code] || error.message;
}

export const joined = (texts) => [texts].flat(3).map((text) => (typeof text === "string" ? text : JSON.stringify(text))).join(" ");

/**
 * A modal dialog, open while it is drawn. The browser keeps the focus in it and restores it afterwards. While `isBusy`, it stays
 * open: some browsers close a dialog at the second Escape in any case.
 */
export function Dialog({ title, onClose, children, className = "", isBusy = false }) {
  const node = useRef();
  useEffect(() => {
    node.current.showModal();
  }, []);
  const close = () => { if (!isBusy) node.current.close(); };
  return html`<dialog ref=${node} class=${className} aria-labelledby="dialog-title"
    onCancel=${(event) => { if (isBusy) event.preventDefault(); }} onClose=${() => (isBusy ? node.current.showModal() : onClose())}
    onClick=${({ target }) => { if (target === node.current) close(); }}>
    <div class="dialog"><header><h2 id="dialog-title">${title}</h2>
      <button class="quiet" type="button" aria-label=${T.close} onClick=${close}><${Icon} kind="close" /></button></header>${children}</div></dialog>`;
}
