// The result of the searched wallet in an operation of the list.
import { html, useEffect, useState } from "/static/third_party/preact.js";
import { T } from "/static/console/texts.js";
import { Reason } from "/static/console/ui.js";

const DELAY_MS = 300; // rows that are scrolled past are not requested
const X = T.operation;

/** It is empty until it is loaded, and if it cannot be. */
export function WalletResult({ session, jobId, wallet }) {
  const [text, setText] = useState("");
  useEffect(() => {
    let isCurrent = true;
    const load = () => session.client.status(jobId).then((status) => { if (isCurrent) setText(textOf(status, wallet)); }, () => {});
    const timer = setTimeout(load, DELAY_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [jobId, wallet]);
  return text && html`<${Reason} text=${T.list.walletResult(text)} />`;
}

function textOf({ operationResult, resolutions }, wallet) {
  const found = operationResult?.wallets?.find((each) => each.wallet === wallet);
  const recorded = resolutions.findLast((each) => each.wallet === wallet);
  if (!found) return "";
  if (recorded) return X.recordedAs(X[recorded.kind], recorded.executed);
  for (const [status, name] of [["unknown", "unknownAt"], ["failed", "failedAt"]]) {
    const kind = ["transfer", "buy"].find((each) => found[each] === status);
    if (kind) return X[name](X[kind]);
  }
  if (found.buy === "not_started") return found.transfer === "confirmed" ? X.results.leftFunded : X.results.left;
  return found.plannedBuys > 1 ? `${X.results.bought}, ${found.successfulBuys}/${found.plannedBuys}` : X.results.bought;
}
