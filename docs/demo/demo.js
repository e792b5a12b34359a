// A page of simulated operations. `../client/` is the client's source, which the site and every gateway contain.
import { buysOf, outcomeOf } from "../client/index.js";
import "../client/element.js";
import { simulate } from "../client/simulate.js";

const FIRST = [{ mode: "standard", walletCount: 12 }, { mode: "prefunded", walletCount: 5 }, { mode: "standard", walletCount: 3 }];
const client = simulate({ speed: 0.4, failureRate: 0.15, unknownRate: 0.03, seed: Date.now() % 1_000_000 });
const list = document.getElementById("operations");

async function start({ mode, walletCount }) {
  const { jobId } = await client.submit({
    tokenAddress: "9FdjJ7S6g5LjAKFANKTm4WmAexYhHGusGFGi4VxEpump",
    userId: "demo", userChatId: 1, mode, buyAmount: 1, walletCount,
  });
  const item = document.createElement("li");
  const element = document.createElement("cto-progress");
  const counts = document.createElement("p");
  element.client = client;
  element.setAttribute("job", jobId);
  element.addEventListener("cto-progress", ({ detail }) => {
    const { planned, bought, failed, unknown } = buysOf(detail);
    counts.textContent = `${mode}: ${bought} of ${planned || walletCount} bought, ${failed} failed, ${unknown} unknown`;
  });
  element.addEventListener("cto-complete", ({ detail }) => { counts.textContent += `. Outcome: ${outcomeOf(detail)}`; });
  item.append(element, counts);
  list.prepend(item);
}

const form = document.querySelector("form");
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  start({ mode: fields.get("mode"), walletCount: Number(fields.get("wallets")) });
});
form.querySelector("button").disabled = false; // before this line, the browser would send the form and load the page again
FIRST.forEach(start);
