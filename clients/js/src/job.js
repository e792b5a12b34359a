import { isLimit } from "./errors.js";

/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */

/**
 * The state of a job, for display. Every change makes a new object.
 *
 * @typedef {object} JobView
 * @property {string} jobId
 * @property {ProgressEvent | null} latest null until the first event
 * @property {readonly ProgressEvent[]} events all events so far, oldest first; empty if only the latest is tracked
 * @property {boolean} ended
 * @property {import("./errors.js").CTOError | null} error why the job is not tracked, e.g. `job_not_found`
 */

/** Return whether an event is the last of its job. @param {ProgressEvent} event */
export const hasEnded = ({ status }) => status === "completed" || status === "failed";

/** Return whether a job will get no more events: it has ended, or was refused for good. @param {Pick<JobView, "ended" | "error">} job */
export const isFinished = ({ ended, error }) => ended || (error !== null && !isLimit(error));

/** Orders the events of one job: each is delivered once, in the order of `seq`. */
export class Job {
  /** @type {ProgressEvent | null} */ latest = null;
  /** @type {ProgressEvent[]} */ events = [];
  /** @type {import("./errors.js").CTOError | null} */ error = null;
  seq = 0; // of the last delivered event
  requested = false; // whether the missing events have been requested
  session = 0; // in which the job was last heard of
  /** @type {JobView | null} */ #view = null;
  /** @type {Map<number, ProgressEvent>} */ #early = new Map(); // events after a gap, by seq

  /**
   * @param {string} jobId
   * @param {boolean} complete whether to deliver every event, or only the latest
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

  /** Make the next `view` a new object. */
  changed() {
    this.#view = null;
  }

  /** Whether events are missing before those that have arrived. */
  get hasHole() {
    return this.#early.size > 0;
  }

  /**
   * Accept an event, in any order and any number of times.
   *
   * @param {ProgressEvent} event
   * @returns {ProgressEvent[]} the events that can be delivered now, in order
   */
  accept(event) {
    if (event.seq <= this.seq) return [];
    if (!this.complete) return [this.#deliver(event)];
    this.#early.set(event.seq, event);
    return this.#deliverReady();
  }

  /**
   * Skip the events before a seq, because they have expired.
   *
   * @param {number} oldestSeq
   * @returns {ProgressEvent[]} the events that can be delivered now, in order
   */
  skipTo(oldestSeq) {
    for (const seq of this.#early.keys()) if (seq < oldestSeq) this.#early.delete(seq);
    this.seq = Math.max(this.seq, oldestSeq - 1);
    return this.#deliverReady();
  }

  #deliverReady() {
    const ready = [];
    for (let event; (event = this.#early.get(this.seq + 1)); ) {
      this.#early.delete(event.seq);
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
