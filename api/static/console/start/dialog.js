// The dialog that starts an operation.
import { html, useRef, useState } from "/static/third_party/preact.js";
import { CONFIRM_SOL, MARKET, PLATFORMS } from "/static/console/config.js";
import { Field, useFieldErrors } from "/static/console/form.js";
import { exactSol } from "/static/console/format.js";
import { useDelay } from "/static/console/observable.js";
import { navigate, operationPath } from "/static/console/router.js";
import { useBalances } from "/static/console/start/balances.js";
import { randomMint } from "/static/console/start/random-mint.js";
import { bodyOf, check } from "/static/console/start/request.js";
import { T } from "/static/console/texts.js";
import { Dialog } from "/static/console/ui.js";

const X = T.start;
const SLOW_MS = 3_000;
const DEFAULTS = { tokenAddress: "", mode: "standard", buyAmount: "1", walletCount: "5", platform: "", slippage: "", userId: "", userChatId: "1" };

/** `initial` has values that replace the defaults. */
export function StartDialog({ session, initial, onClose }) {
  const [values, setValues] = useState({ ...DEFAULTS, userId: session.user ?? session.caller?.name ?? "demo", ...initial });
  const [stage, setStage] = useState("form"); // "form", "confirm" or "busy"
  const attempt = useRef({ body: "", key: "" }); // the same request again gets the same operation
  const errors = useFieldErrors();
  const { balances, isPending } = useBalances(session, values);
  const isSlow = useDelay(stage === "busy", SLOW_MS);
  const set = (name) => (value) => setValues((before) => ({ ...before, [name]: value }));

  const start = async () => {
    setStage("busy");
    const body = bodyOf(values);
    const text = JSON.stringify(body);
    if (attempt.current.body !== text) attempt.current = { body: text, key: crypto.randomUUID?.() ?? String(Math.random()) };
    try {
      const { jobId } = await session.client.submit(body, { idempotencyKey: attempt.current.key });
      onClose();
      navigate(operationPath(jobId));
    } catch (error) {
      setStage("form");
      errors.show(error.details?.fields?.slippageBps ? { ...error, details: { fields: { ...error.details.fields, slippage: error.details.fields.slippageBps } } } : error);
    }
  };
  const submit = (submission) => {
    submission.preventDefault();
    if (errors.set(check(values, balances?.missing))) setStage("form"); // the balance may have changed since the question
    else if (Number(values.buyAmount) >= CONFIRM_SOL && stage === "form") setStage("confirm");
    else void start();
  };
  return html`<${Dialog} title=${stage === "confirm" ? X.confirmTitle : X.title} onClose=${onClose} isBusy=${stage === "busy"}>
    <form class="form" onSubmit=${submit} novalidate>
      ${stage === "confirm" ? html`<${Confirm} values=${values} balances=${balances} isPending=${isPending} back=${() => setStage("form")} />`
        : html`<${Fields} values=${values} set=${set} errors=${errors} isOwn=${Boolean(session.user)} /><${Preview} values=${values} balances=${balances} />
          <p class="error wide" role="alert">${errors.general}</p>
          <p class="soft wide" role="status">${isSlow && X.slow}</p>
          <div class="buttons wide"><button type="button" disabled=${stage === "busy"} onClick=${onClose}>${X.cancel}</button>
            <button class="primary" disabled=${stage === "busy"}>${stage === "busy" ? X.starting : X.submit}</button></div>`}</form><//>`;
}

function Fields({ values, set, errors, isOwn }) {
  const field = (name, attributes) => html`<${Field} name=${name} label=${X.fields[name]} value=${values[name]} onInput=${set(name)} errors=${errors} ...${attributes} />`;
  const choice = (name, choices, hint) => html`<${Field} name=${name} label=${X.fields[name]} errors=${errors} hint=${hint}>${(shared) => html`
    <select ...${shared} value=${values[name]} onChange=${({ target }) => set(name)(target.value)}>${choices.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select>`}<//>`;
  return html`<${Field} className="wide" name="tokenAddress" label=${X.fields.tokenAddress} errors=${errors}>${(shared) => html`<span class="joined">
      <input ...${shared} class="mono" value=${values.tokenAddress} autofocus autocomplete="off" spellcheck="false" onInput=${({ target }) => set("tokenAddress")(target.value)} />
      ${MARKET === "paper" && html`<button type="button" onClick=${() => set("tokenAddress")(randomMint())}>${X.random}</button>`}</span>`}<//>
    ${choice("mode", Object.keys(X.modes).map((mode) => [mode, mode]), X.modes[values.mode])}
    ${PLATFORMS.length ? choice("platform", [["", X.anyPlatform], ...PLATFORMS.map((name) => [name, name])]) : field("platform", { placeholder: X.anyPlatform })}
    ${field("buyAmount", { inputmode: "decimal" })}
    ${field("walletCount", { inputmode: "numeric" })}
    ${field("slippage", { inputmode: "decimal", hint: X.slippageHint, className: "wide" })}
    ${field("userId", { readonly: isOwn })}
    ${field("userChatId", { inputmode: "numeric" })}`;
}

/** The balance that the operation begins with: the funding wallet's, or that of the wallet with the least SOL. */
const Balance = ({ mode, balances }) => (balances ? html`<dt>${X.balance}</dt><dd><span class=${balances.missing ? "error" : ""}>${X.available[mode](exactSol(balances.available))}</span></dd>` : null);

function Preview({ values: { mode, buyAmount, walletCount }, balances }) {
  const [amount, wallets] = [Number(buyAmount), Number(walletCount)];
  const isKnown = amount > 0 && Number.isInteger(wallets) && wallets > 0;
  return html`<dl class="preview wide"><${Balance} mode=${mode} balances=${balances} /><dt>${X.preview}</dt><dd>${isKnown ? html`<strong>${X.total(exactSol(amount))}</strong><br /><span class="soft">${X.perWallet(exactSol(amount / wallets))}</span>` : "–"}
    ${MARKET === "paper" && html`<br /><span class="soft">${X.paper}</span>`}</dd></dl>`;
}

/** The last question. It waits for the balance, and cannot be confirmed if that is too low. */
const Confirm = ({ values: { buyAmount, walletCount, tokenAddress, mode }, balances, isPending, back }) => html`
  <p class="wide">${X.confirmText(exactSol(Number(buyAmount)), Number(walletCount))}</p>
  ${balances && html`<dl class="preview wide"><${Balance} mode=${mode} balances=${balances} /></dl>`}
  <p class="error wide" role="alert">${balances?.missing > 0 && X.missing(exactSol(balances.missing))}</p>
  <p class="soft wide" role="status">${isPending && X.readingBalance}</p>
  <p class="wide soft">${T.operation.fields.tokenAddress} <span class="mono break">${tokenAddress}</span><br />${X.modes[mode]}</p>
  <div class="buttons wide"><button type="button" onClick=${back}>${X.back}</button><button class="danger" disabled=${isPending || balances?.missing > 0}>${X.confirm(exactSol(Number(buyAmount)))}</button></div>`;
