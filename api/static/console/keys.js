// Keyboard shortcuts: single keys, and sequences such as "g o".
import { html, useEffect, useRef } from "/static/third_party/preact.js";
import { T } from "/static/console/texts.js";
import { Dialog } from "/static/console/ui.js";

const SEQUENCE_MS = 1_000; // between two keys of a sequence
const TYPING = "input, select, textarea, [contenteditable]";

/** Call the handler of a key that is pressed outside of fields and dialogs, e.g. `useKeys({ j: next })`. */
export function useKeys(handlers) {
  const current = useRef(handlers);
  current.current = handlers;
  useEffect(() => {
    let [first, firstMs] = ["", 0];
    const onKey = (press) => {
      const { key, target, ctrlKey, metaKey, altKey } = press;
      if (ctrlKey || metaKey || altKey || target.closest(TYPING) || document.querySelector("dialog[open]")) return;
      const sequence = Date.now() - firstMs < SEQUENCE_MS ? `${first} ${key}` : "";
      const handler = current.current[sequence] ?? current.current[key];
      [first, firstMs] = [key, Date.now()];
      if (!handler) return;
      press.preventDefault();
      handler();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

export const KeysDialog = ({ onClose }) => html`<${Dialog} title=${T.keys.title} onClose=${onClose}>
  <table class="keys"><tbody>${T.keys.rows.map(([key, text]) => html`<tr><th scope="row"><kbd>${key}</kbd></th><td>${text}</td></tr>`)}</tbody></table><//>`;
