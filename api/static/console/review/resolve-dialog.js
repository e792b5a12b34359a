// Records the result of an unknown step, after a confirmation.
import { html, useState } from "/static/third_party/preact.js";
import { Field, useFieldErrors } from "/static/console/form.js";
import { exactSol, shorten } from "/static/console/format.js";
import { useRequest } from "/static/console/observable.js";
import { figuresOf, isKnown, isSame, MarketAnswer, marketText } from "/static/console/review/market.js";
import { bodyOf, check, usualPrice, warningsOf } from "/static/console/review/resolution.js";
import { T } from "/static/console/texts.js";
import { Dialog, Signature } from "/static/console/ui.js";

const X = T.review;

/**
 * `order` is the market's answer about the step, if there is one; `resolve` sends the body of `POST …/resolve`. Unusual figures, and
 * those that differ from the market's, must be recorded twice. Nothing can be recorded while the answer `isAwaited`.
 */
export function ResolveDialog({ session, jobId, step, executed: chosen, order, isAwaited, resolve, onClose }) {
  const isBuy = step.kind === "buy";
  const [executed, setExecuted] = useState(chosen);
  const [values, setValues] = useState({ spent: executed && isBuy ? String(step.amount) : "", tokens: "" });
  const [isBusy, setBusy] = useState(false);
  const [warnings, setWarnings] = useState([]);
  const errors = useFieldErrors(X.notSaved);
  const { data: price } = useRequest(() => session.client.status(jobId).then(usualPrice), jobId);
  const set = (name) => (value) => {
    setWarnings([]);
    setValues((before) => ({ ...before, [name]: value }));
  };
  const useFigures = () => {
    setWarnings([]);
    errors.clear();
    setExecuted(order.executed);
    setValues(figuresOf(order));
  };
  const submit = async (submission) => {
    submission.preventDefault();
    if (errors.set(check(values))) return;
    const body = bodyOf(values, step, executed);
    const found = isKnown(order) && isSame(order, body) ? lateWarnings(order) : [...marketWarnings(order), ...warningsOf(body, step, price)];
    if (found.some((text) => !warnings.includes(text))) {
      setWarnings(found);
      return;
    }
    setBusy(true);
    try {
      await resolve(body);
      onClose();
    } catch (error) {
      errors.show(error);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${X.confirm(executed)} onClose=${onClose}>
    <p><strong>${step.description}</strong>, <span class="mono">${shorten(step.wallet)}</span>, ${exactSol(step.amount)}</p>
    ${step.signature && html`<p>${X.signature} <${Signature} signature=${step.signature} /></p>`}
    ${isKnown(order) && html`<div class="preview market-answer"><p><${MarketAnswer} order=${order} /></p>
      ${order.final && html`<button type="button" onClick=${useFigures}>${X.market.use}</button>`}</div>`}
    <form class="form" onSubmit=${submit} novalidate>
      <${Field} name="spent" label=${X.spent} value=${values.spent} onInput=${set("spent")} inputmode="decimal" hint=${X.spentHint} errors=${errors} />
      ${executed && isBuy && html`<${Field} name="tokens" label=${X.tokens} value=${values.tokens} onInput=${set("tokens")} inputmode="decimal" hint=${X.tokensHint} errors=${errors} />`}
      ${warnings.length > 0 && html`<div class="wide note" role="alert"><p>${X.check}</p><ul>${warnings.map((text) => html`<li>${text}</li>`)}</ul></div>`}
      <p class="wide"><strong>${X.confirmText}</strong></p>
      <p class="error wide" role="alert">${errors.general}</p>
      <div class="buttons wide"><button type="button" onClick=${onClose}>${X.keep}</button><button class="primary" disabled=${isBusy || isAwaited}>${X.record(executed)}</button></div></form><//>`;
}

const marketWarnings = (order) => (isKnown(order) ? [X.warnings.market(marketText(order))] : []);
const lateWarnings = ({ final }) => (final ? [] : [X.warnings.late]);
