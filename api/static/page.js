// The few things that every part of the page does to it.

const SAID_MS = 1_500;

/** The element with an id. */
export const $ = (id) => document.getElementById(id);

/** An element with a class and contents, which are text or elements. */
export function el(name, className, ...contents) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...contents);
  return node;
}

/** Set a text only when it has changed, so that nothing is drawn or read out anew for nothing. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A button that puts a text on the clipboard, and says so. */
export function copyButton(text, what) {
  const button = el("button", "copy");
  const name = (done) => {
    button.textContent = done;
    button.setAttribute("aria-label", `${done} ${what}`);
  };
  button.type = "button";
  name("Copy");
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(text);
      name("Copied");
    } catch {
      name("Cannot copy");
    }
    setTimeout(name, SAID_MS, "Copy");
  };
  return button;
}
