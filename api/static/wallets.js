// The wallets of one operation: one row for each planned wallet, with its transfer and buys.
import { copyButton, element, setText } from "/static/page.js";
import { price, shorten, sol, tokens } from "/static/format.js";

const COLUMNS = ["Wallet", "Transfer", "Buy", "Tokens", "Price", "Spent", "Transaction"];
const STATES = { running: "in flight", confirmed: "confirmed", failed: "failed", unknown: "unknown", skipped: "not tried", left: "not reached", waiting: "waiting" };

/** Create a table. `update({ wallets, steps, running, mode, ended })` draws it. */
export function walletsTable() {
  const body = element("tbody");
  const head = element("tr", "", ...COLUMNS.map((name) => {
    const cell = element("th", "", name);
    cell.scope = "col";
    return cell;
  }));
  const table = element("table", "wallets", element("caption", "hidden", "Wallets"), element("thead", "", head), body);
  const frame = element("div", "scroll", table);
  frame.hidden = true;
  frame.tabIndex = 0; // allows scrolling with the keyboard
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", "Wallets");
  const rows = new Map();
  return {
    node: frame,
    update({ wallets, steps, running, mode, ended }) {
      table.dataset.mode = mode;
      frame.hidden = wallets.length === 0;
      for (const wallet of wallets) {
        const own = steps.filter((step) => step.wallet === wallet);
        const current = running.find((step) => step.wallet === wallet)?.kind;
        const key = `${own.length} ${current} ${ended}`; // the row depends only on these
        const old = rows.get(wallet);
        if (old?.key === key) continue;
        const node = row(wallet, own, current, mode, ended);
        if (old) old.node.replaceWith(node);
        else body.append(node);
        rows.set(wallet, { key, node });
      }
    },
  };
}

function row(wallet, steps, current, mode, ended) {
  const buys = steps.filter(({ kind }) => kind === "buy");
  const transfer = steps.find(({ kind }) => kind === "transfer");
  const notStarted = ended ? "left" : "waiting";
  const stateOf = (kind) => (current === kind ? "running" : notStarted);
  const transferState = mode === "prefunded" ? null : transfer?.status ?? stateOf("transfer");
  const isBlocked = transfer && transfer.status !== "confirmed";
  const bought = buys.filter(({ status }) => status === "confirmed");
  const received = bought.reduce((sum, step) => sum + step.tokens, 0);
  const paid = bought.reduce((sum, step) => sum + step.spent, 0);
  const lastStep = buys.at(-1) ?? transfer; // its transaction is shown
  const failedStep = steps.find(({ errorCode }) => errorCode);
  const node = element("tr", "");
  const contents = [
    address(wallet, "wallet"),
    transferState === null ? "–" : state(transferState),
    buyState(buys, isBlocked ? "skipped" : stateOf("buy")),
    received ? tokens(received) : "–",
    received ? price((paid / received) * 1e6) : "–",
    steps.length ? sol(steps.reduce((sum, step) => sum + step.spent, 0)) : "–",
    lastStep?.signature ? address(lastStep.signature, "signature") : "–",
  ];
  node.append(...contents.map((content, index) => {
    const cell = element("td", "", content);
    cell.dataset.label = COLUMNS[index];
    return cell;
  }));
  if (failedStep) {
    const cell = node.children[failedStep.kind === "transfer" ? 1 : 2];
    cell.append(element("span", "reason", failedStep.error ?? failedStep.errorCode));
  }
  return node;
}

/** Return the worst state of a wallet's buys, with its count if there are several buys. */
function buyState(buys, stateWithoutBuys) {
  if (!buys.length) return state(stateWithoutBuys);
  const countOf = (wanted) => buys.filter(({ status }) => status === wanted).length;
  const worst = countOf("unknown") ? "unknown" : countOf("failed") ? "failed" : "confirmed";
  const node = state(worst, worst === "confirmed" ? "bought" : undefined);
  if (buys.length > 1) setText(node, `${node.textContent} ${countOf(worst)}/${buys.length}`);
  return node;
}

const state = (name, text = STATES[name]) => element("span", `outcome ${name}`, text);

function address(text, target) {
  const shown = element("span", "mono", shorten(text, 4));
  shown.title = text;
  return element("span", "address", shown, copyButton(text, target));
}
