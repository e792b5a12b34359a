// The wallets of an operation with their transfers and buys, from its events.
import { timeline } from "/client/index.js";

const LAMPORTS = 1e9;

/**
 * A wallet of an operation.
 *
 * @typedef {object} WalletRow
 * @property {string} wallet
 * @property {number} number its place in the plan, from 1
 * @property {{ kind: string, status: string, from: number, to: number | null, error?: string }[]} bars its transfer and buys; `status` is "running" in flight
 * @property {{ result: string, failedKind?: string, count?: string, recorded?: object }} result the key of its text; which step failed; "2/3" for
 *   several buys; what an operator recorded for its unknown step
 * @property {{ code: string, text: string } | null} reason of its last failure
 * @property {number} tokens base units
 * @property {number | null} price SOL of one token
 * @property {number | null} spent SOL, or null before the result of its first step is known
 * @property {number | null} fee SOL
 * @property {{ kind: string, signature: string }[]} transactions
 */

/**
 * Return the phases, the wallets and the period of an operation; null without events.
 *
 * @param {readonly import("/client/index.js").ProgressEvent[]} events
 * @param {{ signature: string, executed: boolean, spent: number, tokens: number }[]} [resolutions] the results that operators recorded for unknown steps
 * @returns {{ phases: import("/client/timeline.js").PhaseSpan[], wallets: WalletRow[], from: number, to: number | null } | null}
 */
export function runOf(events, resolutions = []) {
  const times = timeline(events);
  if (!times) return null;
  const { phases, running, from, to } = times;
  const steps = times.steps.map((step) => withResolution(step, resolutions));
  const addresses = events.find(({ details }) => details?.plannedWallets)?.details.plannedWallets ?? [...new Set(steps.map(({ wallet }) => wallet))];
  const { mode, buyAmount, details: { plannedBuys = addresses.length } = {} } = events.at(-1);
  const plan = { mode, buysEach: Math.max(1, Math.round(plannedBuys / addresses.length)), buySol: buyAmount / Math.max(1, plannedBuys), ended: to !== null };
  const rowOf = (wallet) => walletRow(wallet, steps.filter((step) => step.wallet === wallet), running.find((step) => step.wallet === wallet), plan);
  const wallets = addresses.map((wallet, index) => ({ ...rowOf(wallet), number: index + 1 }));
  return { phases, wallets, from, to };
}

/** Return a step with the result that an operator recorded for it, if there is one. The bar in the chart stays unknown. */
function withResolution(step, resolutions) {
  const recorded = step.status === "unknown" && resolutions.find(({ signature }) => signature === step.signature);
  if (!recorded) return step;
  const { executed, spent, tokens } = recorded;
  return { ...step, recorded, spent, tokens, status: executed ? "confirmed" : "failed", errorCode: undefined, error: undefined };
}

/** @returns {WalletRow} */
function walletRow(wallet, steps, running, plan) {
  const bought = steps.filter(({ kind, status }) => kind === "buy" && status === "confirmed");
  const tokens = sum(bought, "tokens");
  const isKnown = steps.some((step) => step.spent > 0 || step.status !== "unknown");
  const spent = isKnown ? sum(steps, "spent") : null;
  const failed = steps.findLast(({ errorCode }) => errorCode);
  return {
    wallet, tokens, spent,
    bars: [...steps.map((step) => (step.recorded ? { ...step, status: "unknown" } : step)), ...(running ? [{ ...running, status: "running" }] : [])],
    result: resultOf(steps, running, bought.length, plan),
    reason: failed ? { code: failed.errorCode, text: failed.error } : null,
    price: tokens ? (sum(bought, "spent") / tokens) * 1e6 : null,
    fee: spent === null ? null : Math.max(0, toLamports(spent) - toLamports(bought.length * plan.buySol)) / LAMPORTS,
    transactions: steps.filter(({ signature }) => signature).map(({ kind, signature }) => ({ kind, signature })),
  };
}

function resultOf(steps, running, bought, { buysEach, ended }) {
  const bad = steps.find(({ status }) => status === "unknown") ?? steps.find(({ status }) => status === "failed");
  const count = buysEach > 1 && bought > 0 ? `${bought}/${buysEach}` : undefined;
  const recorded = (bad ?? steps.findLast((step) => step.recorded))?.recorded;
  if (running && !bad) return { result: "running", count };
  if (bad) return { result: bad.status, failedKind: bad.kind, count, recorded };
  if (bought) return { result: "bought", count, recorded };
  if (steps.length) return { result: ended ? "leftFunded" : "funded", recorded };
  return { result: ended ? "left" : "waiting" };
}

const sum = (steps, name) => steps.reduce((total, step) => total + step[name], 0);
const toLamports = (sol) => Math.round(sol * LAMPORTS);
