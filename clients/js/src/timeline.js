import { hasEnded } from "./job.js";

/**
 * How long something took. Times in ms since 1970-01-01 UTC; `to` is null while it goes on.
 *
 * @typedef {object} Span
 * @property {number} from
 * @property {number | null} to
 */

/**
 * @typedef {Span & { phase: number, title: string }} PhaseSpan
 * @typedef {Span & import("./types.js").StepResult & { label: string, price: number | null }} StepSpan
 * `price` is SOL per million base units: per token, for a mint of six decimals
 */

/**
 * How long each phase, and each transfer and buy, of a job took. Phases and steps that are not in `events` are not in it.
 *
 * @param {readonly import("./types.js").ProgressEvent[]} events of one job, oldest first
 * @returns {{ phases: PhaseSpan[], steps: StepSpan[], from: number, to: number | null } | null} null without events
 */
export function timeline(events) {
  if (!events.length) return null;
  const last = events[events.length - 1];
  const ended = hasEnded(last);
  /** @type {PhaseSpan[]} */ const phases = [];
  /** @type {StepSpan[]} */ const steps = [];
  events.forEach((event, index) => {
    const open = phases[phases.length - 1];
    if (event.phase !== open?.phase) {
      if (open) open.to = event.timestamp;
      phases.push({ phase: event.phase, title: event.phaseTitle, from: event.timestamp, to: null });
    }
    const step = event.details?.lastStep;
    if (!step) return;
    const before = events[index - 1] ?? event; // the event that said what was about to be done
    steps.push({
      ...step,
      from: before.timestamp,
      to: event.timestamp,
      label: before.details?.currentOperation ?? step.kind,
      price: step.tokens ? (step.spent / step.tokens) * 1e6 : null,
    });
  });
  if (ended) phases[phases.length - 1].to = last.timestamp;
  return { phases, steps, from: events[0].timestamp, to: ended ? last.timestamp : null };
}
