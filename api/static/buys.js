// The buys of one operation as they land.
import { copyButton, el } from "/static/page.js";
import { price, shorten, sol } from "/static/format.js";

const COLUMNS = ["Wallet", "Spent", "Price", "Signature", "Outcome"];

/** A table to which `update(steps)` adds the buys that it does not have yet. */
export function buysTable() {
  const body = el("tbody");
  const head = el("tr", "", ...COLUMNS.map((name) => {
    const cell = el("th", "", name);
    cell.scope = "col";
    return cell;
  }));
  const table = el("table", "buys", el("caption", "hidden", "Buys"), el("thead", "", head), body);
  const frame = el("div", "scroll", table);
  frame.hidden = true;
  frame.tabIndex = 0; // so that the keyboard can scroll it
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", "Buys");
  return {
    node: frame,
    update(steps) {
      const buys = steps.filter(({ kind }) => kind === "buy");
      for (const buy of buys.slice(body.rows.length)) body.append(row(buy));
      frame.hidden = buys.length === 0;
    },
  };
}

function row({ wallet, spent, price: paid, signature, status, error, errorCode }) {
  const cells = [
    address(wallet, "wallet"), sol(spent), paid === null ? "–" : price(paid),
    signature ? address(signature, "signature") : "–",
    el("span", `outcome ${status}`, status === "confirmed" ? "bought" : [status, error ?? errorCode].filter(Boolean).join(": ")),
  ];
  return el("tr", "", ...cells.map((content, at) => {
    const cell = el("td", "", content);
    cell.dataset.label = COLUMNS[at];
    return cell;
  }));
}

function address(text, what) {
  const shown = el("span", "mono", shorten(text, 4));
  shown.title = text;
  return el("span", "address", shown, copyButton(text, what));
}
