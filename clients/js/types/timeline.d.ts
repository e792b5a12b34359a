export type Span = {
    from: number;
    to: number | null;
};
export type PhaseSpan = Span & {
    phase: number;
    title: string;
};
export type StepSpan = Span & import("./types.js").StepResult & {
    label: string;
    price: number | null;
};
export type RunningSpan = Span & {
    wallet: string;
    kind: "transfer" | "buy";
};
export type Timeline = {
    phases: PhaseSpan[];
    steps: StepSpan[];
    running: RunningSpan[];
    from: number;
    to: number | null;
};
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
export declare function timeline(events: readonly import("./types.js").ProgressEvent[]): Timeline | null;
