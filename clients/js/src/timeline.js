import { hasEnded } from "./job.js";

/**
 * A period of time, in ms since 1970-01-01 UTC. `to` is null until the period ends.
 *
 * @typedef {object} Span
 * @property {number} from
 * @property {number | null} to
 */

/**
 * @typedef {Span & { phase: number, title: string }} PhaseSpan
 * @typedef {Span & import("./types.js").StepResult & { label: string, price: number | null }} StepSpan
 * `price` is SOL per million base units: per token, for a mint of six decimals
 * @typedef {Span & { wallet: string, kind: "transfer" | "buy" }} RunningSpan a transfer or buy without an outcome so far
 * @typedef {{ phases: PhaseSpan[], steps: StepSpan[], running: RunningSpan[], from: number, to: number | null }} Timeline
 * `steps` in the order of completion
 */

/**
 * Return the periods of a job's phases, transfers and buys. Only phases and steps in `events` are included. Steps of
 * different wallets overlap when several orders were in flight.
 *
 * @param {readonly import("./types.js").ProgressEvent[]} events of one job, oldest first
 * @returns {Timeline | null} null without events
 */
export function timeline(events) {
  if (!events.length) return null;
  const last = events[events.length - 1];
  const to = hasEnded(last) ? last.timestamp : null;
  /** @type {PhaseSpan[]} */ const phases = [];
  /** @type {StepSpan[]} */ const steps = [];
  /** @type {Map<string, RunningSpan>} */ const running = new Map(); // by wallet
  events.forEach(({ phase, phaseTitle: title, timestamp, mode, details = {} }, index) => {
    const current = phases[phases.length - 1];
    if (phase !== current?.phase) {
      if (current) current.to = timestamp;
      phases.push({ phase, title, from: timestamp, to: null });
    }
    const step = details.lastStep;
    if (step) {
      const before = events[index - 1]; // in an older release it announces the step
      steps.push({
        ...step,
        from: (running.get(step.wallet)?.from ?? before?.timestamp) || timestamp,
        to: timestamp,
        label: before?.details?.currentOperation ?? step.kind,
        price: step.tokens ? (step.spent / step.tokens) * 1e6 : null,
      });
      running.delete(step.wallet);
    }
    for (const wallet of details.startingWallets ?? []) {
      const kind = mode === "prefunded" || steps.some((ended) => ended.wallet === wallet) ? "buy" : "transfer";
      running.set(wallet, { wallet, kind, from: timestamp, to: null });
    }
  });
  phases[phases.length - 1].to = to;
  return { phases, steps, running: to ? [] : [...running.values()], from: events[0].timestamp, to };
}
