// Records the result of an unknown step, after a confirmation.
import { html, useState } from "/static/third_party/preact.js";
import { exactSol, shorten } from "/static/console/format.js";
import { Field, useFieldErrors } from "/static/console/form.js";
import { T } from "/static/console/texts.js";
import { Dialog } from "/static/console/ui.js";

const X = T.review;

/** `resolve` sends the body of `POST …/resolve`. */
export function ResolveDialog({ step, executed, resolve, onClose }) {
  const isBuy = step.kind === "buy";
  const [values, setValues] = useState({ spent: executed && isBuy ? String(step.amount) : "", tokens: "" });
  const [isBusy, setBusy] = useState(false);
  const errors = useFieldErrors();
  const set = (name) => (value) => setValues((before) => ({ ...before, [name]: value }));
  const submit = async (submission) => {
    submission.preventDefault();
    setBusy(true);
    const numbers = Object.entries(values).filter(([, text]) => text.trim()).map(([name, text]) => [name, Number(text)]);
    try {
      await resolve({ intentId: step.intentId, executed, ...Object.fromEntries(numbers) });
      onClose();
    } catch (error) {
      errors.show(error);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${X.confirm(executed)} onClose=${onClose}>
    <p><strong>${step.description}</strong>, <span class="mono">${shorten(step.wallet)}</span>, ${exactSol(step.amount)}</p>
    <form class="form" onSubmit=${submit} novalidate>
      ${(executed || isBuy) && html`<${Field} name="spent" label=${X.spent} value=${values.spent} onInput=${set("spent")} inputmode="decimal" hint=${X.spentHint} errors=${errors} />`}
      ${executed && isBuy && html`<${Field} name="tokens" label=${X.tokens} value=${values.tokens} onInput=${set("tokens")} inputmode="numeric" hint=${X.tokensHint} errors=${errors} />`}
      <p class="wide"><strong>${X.confirmText}</strong></p>
      <p class="error wide" role="alert">${errors.general}</p>
      <div class="buttons wide"><button type="button" onClick=${onClose}>${X.keep}</button><button class="primary" disabled=${isBusy}>${X.record(executed)}</button></div></form><//>`;
}
