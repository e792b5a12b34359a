import { isLimit } from "./errors.js";

/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */

/**
 * A job as a page shows it. A new object for every change.
 *
 * @typedef {object} JobView
 * @property {string} jobId
 * @property {ProgressEvent | null} latest null until anything is known
 * @property {readonly ProgressEvent[]} events all so far, oldest first; empty when only the latest is asked for
 * @property {boolean} ended
 * @property {import("./errors.js").CTOError | null} error why it is not followed, e.g. `job_not_found`
 */

/** Whether an event is the last of its job. @param {ProgressEvent} event */
export const hasEnded = ({ status }) => status === "completed" || status === "failed";

/** Whether nothing more will be heard of a job. @param {Pick<JobView, "ended" | "error">} job */
export const isFinished = ({ ended, error }) => ended || (error !== null && !isLimit(error));

/** One job's events, put in order: each is delivered once, and none before those that it follows. */
export class Job {
  /** @type {ProgressEvent | null} */ latest = null;
  /** @type {ProgressEvent[]} */ events = [];
  /** @type {import("./errors.js").CTOError | null} */ error = null;
  seq = 0; // of the last event delivered
  asked = false; // whether what is missing has been asked for
  session = 0; // in which anything was last heard of it
  /** @type {JobView | null} */ #view = null;
  /** @type {Map<number, ProgressEvent>} */ #held = new Map(); // what came too early

  /**
   * @param {string} jobId
   * @param {boolean} complete whether every event counts, or only the latest
   */
  constructor(jobId, complete) {
    this.jobId = jobId;
    this.complete = complete;
  }

  get ended() {
    return this.latest !== null && hasEnded(this.latest);
  }

  get view() {
    const { jobId, latest, events, ended, error } = this;
    this.#view ??= { jobId, latest, events, ended, error };
    return this.#view;
  }

  changed() {
    this.#view = null;
  }

  /** Whether something is missing before what has come. */
  get hasHole() {
    return this.#held.size > 0;
  }

  /**
   * Take an event in, whenever and however often it comes.
   *
   * @param {ProgressEvent} event
   * @returns {ProgressEvent[]} what can be delivered now, in order
   */
  take(event) {
    if (event.seq <= this.seq) return [];
    if (!this.complete) return [this.#deliver(event)];
    this.#held.set(event.seq, event);
    return this.#next();
  }

  /**
   * Give up what comes before a seq: it is gone.
   *
   * @param {number} oldestSeq
   * @returns {ProgressEvent[]} what can be delivered now, in order
   */
  skipTo(oldestSeq) {
    for (const seq of this.#held.keys()) if (seq < oldestSeq) this.#held.delete(seq);
    this.seq = Math.max(this.seq, oldestSeq - 1);
    return this.#next();
  }

  #next() {
    const ready = [];
    for (let event; (event = this.#held.get(this.seq + 1)); ) {
      this.#held.delete(event.seq);
      ready.push(this.#deliver(event));
    }
    return ready;
  }

  /** @param {ProgressEvent} event */
  #deliver(event) {
    this.seq = event.seq;
    this.latest = event;
    if (this.complete) this.events = [...this.events, event];
    return event;
  }
}
