// The wallets of one operation: every planned one has a row from the start, and what became of it.
import { copyButton, el, say } from "/static/page.js";
import { price, shorten, sol, tokens } from "/static/format.js";

const COLUMNS = ["Wallet", "Transfer", "Buy", "Tokens", "Price", "Spent", "Transaction"];
const STATES = { confirmed: "confirmed", failed: "failed", unknown: "unknown", skipped: "not tried", left: "not reached", waiting: "waiting" };

/** A table that `update(planned, steps, ended)` draws. `planned` are addresses; without any, those of the steps are shown. */
export function walletsTable() {
  const body = el("tbody");
  const head = el("tr", "", ...COLUMNS.map((name) => {
    const cell = el("th", "", name);
    cell.scope = "col";
    return cell;
  }));
  const table = el("table", "wallets", el("caption", "hidden", "Wallets"), el("thead", "", head), body);
  const frame = el("div", "scroll", table);
  frame.hidden = true;
  frame.tabIndex = 0; // so that the keyboard can scroll it
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", "Wallets");
  const rows = new Map();
  return {
    node: frame,
    update({ planned, steps, mode, ended }) {
      const wallets = planned.length ? planned : [...new Set(steps.map(({ wallet }) => wallet))];
      table.dataset.mode = mode;
      frame.hidden = wallets.length === 0;
      for (const wallet of wallets) {
        const own = steps.filter((step) => step.wallet === wallet);
        const key = `${own.length} ${ended}`; // all that a row depends on
        const old = rows.get(wallet);
        if (old?.key === key) continue;
        const node = row(wallet, own, mode, ended);
        if (old) old.node.replaceWith(node);
        else body.append(node);
        rows.set(wallet, { key, node });
      }
    },
  };
}

function row(wallet, steps, mode, ended) {
  const buys = steps.filter(({ kind }) => kind === "buy");
  const transfer = steps.find(({ kind }) => kind === "transfer");
  const open = ended ? "left" : "waiting";
  const transferState = mode === "prefunded" ? null : transfer?.status ?? open;
  const isBlocked = transfer && transfer.status !== "confirmed";
  const bought = buys.filter(({ status }) => status === "confirmed");
  const received = bought.reduce((sum, step) => sum + step.tokens, 0);
  const paid = bought.reduce((sum, step) => sum + step.spent, 0);
  const shown = buys.at(-1) ?? transfer; // whose transaction, and whose reason
  const reason = steps.find(({ errorCode }) => errorCode);
  const node = el("tr", "");
  const contents = [
    address(wallet, "wallet"),
    transferState === null ? "–" : state(transferState),
    buyState(buys, isBlocked ? "skipped" : open),
    received ? tokens(received) : "–",
    received ? price((paid / received) * 1e6) : "–",
    steps.length ? sol(steps.reduce((sum, step) => sum + step.spent, 0)) : "–",
    shown?.signature ? address(shown.signature, "signature") : "–",
  ];
  node.append(...contents.map((content, at) => {
    const cell = el("td", "", content);
    cell.dataset.label = COLUMNS[at];
    return cell;
  }));
  if (reason) {
    const place = node.children[reason.kind === "transfer" ? 1 : 2]; // beside what failed
    place.append(el("span", "reason", reason.error ?? reason.errorCode));
  }
  return node;
}

/** One state for all buys of a wallet, with how many of them when there are several. */
function buyState(buys, otherwise) {
  if (!buys.length) return state(otherwise);
  const of = (wanted) => buys.filter(({ status }) => status === wanted).length;
  const worst = of("unknown") ? "unknown" : of("failed") ? "failed" : "confirmed";
  const node = state(worst, worst === "confirmed" ? "bought" : undefined);
  if (buys.length > 1) say(node, `${node.textContent} ${of(worst)}/${buys.length}`);
  return node;
}

const state = (name, words = STATES[name]) => el("span", `outcome ${name}`, words);

function address(text, what) {
  const shown = el("span", "mono", shorten(text, 4));
  shown.title = text;
  return el("span", "address", shown, copyButton(text, what));
}
