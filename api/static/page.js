// DOM functions that all parts of the page use.

const FEEDBACK_MS = 1_500;

/** Return the element with an id. */
export const $ = (id) => document.getElementById(id);

/** Create an element with a class and contents, which are texts or elements. */
export function element(name, className, ...contents) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...contents);
  return node;
}

/** Set a text if it differs, so that screen readers do not announce it again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Create a button that copies a text to the clipboard and confirms it. */
export function copyButton(text, target) {
  const button = element("button", "copy");
  const setLabel = (label) => {
    button.textContent = label;
    button.setAttribute("aria-label", `${label} ${target}`);
  };
  button.type = "button";
  setLabel("Copy");
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setLabel("Copied");
    } catch {
      setLabel("Cannot copy");
    }
    setTimeout(setLabel, FEEDBACK_MS, "Copy");
  };
  return button;
}
