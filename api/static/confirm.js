// The confirmation dialog of actions that cannot be undone.
import { $ } from "/static/page.js";

/** Resolves to whether the user confirms. The browser keeps the focus in the dialog, and restores it afterwards. */
export function confirmCancel(target) {
  const dialog = $("confirm");
  $("confirm-target").textContent = target;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
