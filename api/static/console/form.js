// Fields of forms, each with its errors below it.
import { html, useState } from "/static/third_party/preact.js";
import { T } from "/static/console/texts.js";
import { errorText, joined } from "/static/console/ui.js";

/** Return the errors of a form: `fields` by name, and a `general` text. `show` takes an error of the gateway, `set` own ones; `text` is the general text for wrong fields. */
export function useFieldErrors(text = T.start.correct) {
  const [{ fields, general }, setErrors] = useState({ fields: {}, general: "" });
  const set = (found) => {
    const names = Object.keys(found);
    setErrors({ fields: found, general: names.length ? text : "" });
    if (names.length) requestAnimationFrame(() => document.querySelector("dialog [aria-invalid=true]")?.focus());
    return names.length > 0;
  };
  const show = (error) => {
    const found = Object.fromEntries(Object.entries(error.details?.fields ?? {}).map(([name, texts]) => [name, joined(texts)]));
    if (!set(found)) setErrors({ fields: {}, general: errorText(error) });
  };
  return { fields, general, set, show, clear: () => setErrors({ fields: {}, general: "" }) };
}

/** A field with its label, hint and error. Without `children` it is an input. */
export function Field({ name, label, hint, errors, className = "", children, onInput, ...attributes }) {
  const error = errors.fields[name];
  const described = [error && `${name}-error`, hint && `${name}-hint`].filter(Boolean).join(" ") || undefined;
  const shared = { id: name, name, "aria-invalid": String(Boolean(error)), "aria-describedby": described, ...attributes };
  return html`<div class=${`field ${className}`}><label for=${name}>${label}</label>
    ${children ? children(shared) : html`<input ...${shared} autocomplete="off" spellcheck="false" onInput=${({ target }) => onInput(target.value)} />`}
    ${error && html`<p class="error" id=${`${name}-error`}>${error}</p>`}
    ${hint && html`<p class="hint" id=${`${name}-hint`}>${hint}</p>`}</div>`;
}
