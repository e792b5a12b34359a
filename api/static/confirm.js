// Asks before something is done that cannot be undone.
import { $ } from "/static/page.js";

/** Resolves to whether the viewer wants it. The browser keeps the focus inside, and gives it back. */
export function confirmCancel(what) {
  const dialog = $("confirm");
  $("confirm-what").textContent = what;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
