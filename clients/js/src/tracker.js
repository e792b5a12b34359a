import { isLimit, isTransient } from "./errors.js";
import { Job, hasEnded, isFinished } from "./job.js";
import { ADMIN_ROOM } from "./recent-jobs.js";

const RETRY_MS = 2_000;
const CHANGE_MS = 16; // a page that draws more often is not seen to
const KEPT = 500; // ended jobs of a room

/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./errors.js").CTOError} CTOError */
/** @typedef {{ isOpen: boolean, ask: (...asked: import("./types.js").ClientCommand) => void }} Link */

/** @typedef {import("./job.js").JobView} JobView */
/** @typedef {{ restored: boolean }} Delivery `restored`: the page had this event before it was loaded again */
/** @typedef {{ jobId: string, after: number, oldestSeq: number }} Gap */
/** @typedef {{ jobs: readonly JobView[], error: CTOError | null }} Snapshot `error`: why a room is refused */

/**
 * @typedef {object} Listeners
 * @property {Set<(event: ProgressEvent, delivery: Delivery) => void>} progress
 * @property {Set<(event: ProgressEvent, delivery: Delivery) => void>} complete
 * @property {Set<(gap: Gap) => void>} gap
 * @property {Set<(error: CTOError, jobId?: string) => void>} error
 * @property {Set<() => void>} change
 */

/**
 * What a tracker needs of its client.
 *
 * @typedef {object} TrackerContext
 * @property {() => Link | undefined} link the connection, once there is one
 * @property {import("./event-cache.js").EventCache} saved
 * @property {(room: string) => Promise<ProgressEvent[]>} newest the latest events of a room's newest jobs, oldest job first
 * @property {(rooms: readonly string[]) => void} leave leaves those of the rooms that no tracker needs
 * @property {(tracker: Tracker) => void} closed
 */

/** Follows some jobs, or all that a room shows. Made by the client's `track…`. */
export class Tracker {
  /** @type {Map<string, Job>} */ #jobs = new Map();
  /** @type {Snapshot | null} */ #snapshot = null;
  /** @type {CTOError | null} why its room is refused */ error = null;
  /** @type {Partial<Listeners>} */ #listeners = {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #changing;
  /** @type {() => void} */ #resolveDone = () => {};
  #session = 0;
  #ready = false; // whether what was kept has been read
  #closed = false;
  #backMs = 0; // until when all was heard, in a room where it was before
  #heardMs = Date.now(); // when the newest event was told; until there is one, when this began
  #home;
  #complete;

  /**
   * @param {TrackerContext} home
   * @param {string | undefined} room all of whose jobs it follows
   * @param {readonly string[]} jobIds the jobs that it follows, if not a room's
   * @param {boolean} complete whether every event counts, or only the latest of each job
   */
  constructor(home, room, jobIds, complete) {
    this.#home = home;
    this.room = room;
    this.#complete = complete;
    /** @type {Promise<void>} when every job has ended; never for a room */
    this.done = new Promise((resolve) => { this.#resolveDone = resolve; });
    for (const jobId of jobIds) this.#jobs.set(jobId, new Job(jobId, complete));
    void this.#restore();
  }

  /** Every event once, in order. Returns what unsubscribes. @param {(event: ProgressEvent, delivery: Delivery) => void} listener */
  onProgress(listener) { return this.#listen("progress", listener); }

  /** The last event of each job, exactly once. @param {(event: ProgressEvent, delivery: Delivery) => void} listener */
  onComplete(listener) { return this.#listen("complete", listener); }

  /** Events are gone for good: those after `after` and before `oldestSeq`. @param {(gap: Gap) => void} listener */
  onGap(listener) { return this.#listen("gap", listener); }

  /** A job or room is refused. @param {(error: CTOError, jobId?: string) => void} listener */
  onError(listener) { return this.#listen("error", listener); }

  /** The snapshot has changed. ServerMessage at most once a frame. @param {() => void} listener */
  onChange(listener) { return this.#listen("change", listener); }

  /** All as it stands; the same object until something changes. */
  get snapshot() {
    this.#snapshot ??= { jobs: [...this.#jobs.values()].map((job) => job.view), error: this.error };
    return this.#snapshot;
  }

  /** The same of one job. @param {string} [jobId] by default the first */
  job(jobId) {
    return (jobId === undefined ? [...this.#jobs.values()][0] : this.#jobs.get(jobId))?.view;
  }

  /** The rooms that it needs. */
  get rooms() {
    return this.room ? [this.room] : [...this.#jobs.values()].filter(({ ended }) => !ended).map(({ jobId }) => `job_${jobId}`);
  }

  /** Every event from now on, until all jobs have ended or this is closed. */
  async *[Symbol.asyncIterator]() {
    /** @type {ProgressEvent[]} */ const waiting = [];
    let over = false;
    let wake = (/** @type {any} */ _) => {};
    const off = this.onProgress((event) => {
      waiting.push(event);
      wake(0);
    });
    void this.done.then(() => {
      over = true;
      wake(0);
    });
    try {
      for (;;) {
        while (waiting.length) yield /** @type {ProgressEvent} */ (waiting.shift());
        if (over) return;
        await new Promise((resolve) => { wake = resolve; });
      }
    } finally {
      off();
    }
  }

  close() {
    this.#closed = true;
    this.#ready = false;
    clearTimeout(this.#changing);
    this.#listeners = {};
    if (!this.room) this.#jobs.forEach((job) => this.#home.saved.forget(job));
    this.#home.closed(this);
    this.#resolveDone();
  }

  // --- what the connection tells, by its name ---

  /** The connection has opened: ask for everything. @internal */
  opened() {
    if (!this.#ready) return;
    this.#backMs = this.#session && this.#heardMs;
    this.#session += 1;
    for (const job of this.#jobs.values()) job.asked = false;
    if (this.room) this.#home.link()?.ask("join", this.room);
    else for (const job of this.#jobs.values()) this.#follow(job);
  }

  /** @internal @param {ProgressEvent} event */
  event(event) {
    const job = this.#jobOf(event);
    if (job) this.#take(job, event);
  }

  /** A room has told what is open in it: of what else was open it is to be seen how it went on. @internal @param {string} room */
  joined(room) {
    if (this.room !== room) return;
    this.error = null;
    this.#changed();
    for (const job of this.#jobs.values()) {
      if (!job.ended && job.session !== this.#session) this.#catchUp(job);
    }
    if (this.#backMs) void this.#lookForMissed(this.#backMs);
    this.#backMs = 0;
  }

  /** @internal @param {string} jobId @param {readonly ProgressEvent[]} events */
  resumed(jobId, events) {
    const job = this.#jobs.get(jobId);
    if (!job) return;
    job.asked = false;
    job.session = this.#session;
    this.#deliver(job, events.flatMap((event) => job.take(event)));
    if (job.hasHole) this.#catchUp(job);
    this.#home.leave([`job_${jobId}`]); // in which a job has got when it has caught up: if it is followed that stays
  }

  /** @internal @param {string} jobId @param {number} oldestSeq */
  gap(jobId, oldestSeq) {
    const job = this.#jobs.get(jobId);
    if (!job) return;
    job.asked = false;
    if (oldestSeq <= job.seq + 1) return;
    this.#emit("gap", { jobId, after: job.seq, oldestSeq });
    this.#deliver(job, job.skipTo(oldestSeq));
    this.#follow(job);
  }

  /** @internal @param {import("./types.js").Target} about @param {CTOError} error */
  refused(about, error) {
    const job = "jobId" in about ? this.#jobs.get(about.jobId) : undefined;
    if (job) job.asked = false;
    else if (!("room" in about && this.rooms.includes(about.room))) return;
    const refused = job ?? this;
    if (isTransient(error) && !isLimit(error)) {
      setTimeout(() => this.#ask(refused), error.retryAfterMs ?? RETRY_MS);
      return;
    }
    const isNew = refused.error?.code !== error.code;
    refused.error = error;
    this.#changed(job);
    if (isNew) this.#emit("error", error, job?.jobId);
    this.#checkDone();
  }

  /** A room has been left: ask once more for one that was refused as one too many. @internal @returns {boolean} whether there was any */
  retry() {
    const refused = [this, ...this.#jobs.values()].find(({ error }) => error && isLimit(error));
    if (refused) this.#ask(refused);
    return !!refused;
  }

  /** Ask again, for a job or for all. @param {Job | Tracker} refused */
  #ask(refused) {
    if (refused instanceof Job) this.#follow(refused);
    else this.opened();
  }

  async #restore() {
    await undefined; // listeners come first
    for (const job of this.#jobs.values()) {
      for (const event of await this.#home.saved.load(job.jobId)) {
        job.seq ||= event.seq - 1; // what was kept may begin later than the first event
        this.#deliver(job, job.take(event), true);
      }
    }
    this.#ready = !this.#closed;
    if (this.#home.link()?.isOpen) this.opened();
  }

  /** Find the jobs that began and ended while the connection was away. @param {number} sinceMs */
  async #lookForMissed(sinceMs) {
    const events = await this.#home.newest(/** @type {string} */ (this.room)).catch(() => []);
    for (const event of events) if (!this.#jobs.has(event.jobId) && event.timestamp > sinceMs) this.event(event);
  }

  /** @param {Job} job */
  #follow(job) {
    if (isFinished(job) || this.#closed) return;
    if (this.room) this.#catchUp(job);
    else this.#home.link()?.ask("follow", job.jobId, job.seq);
  }

  /** @param {Job} job */
  #catchUp(job) {
    if (job.asked) return;
    job.asked = true;
    this.#home.link()?.ask("catchUp", job.jobId, job.seq);
  }

  /** @param {ProgressEvent} event */
  #shows({ userId, socketUserId }) {
    return this.room === ADMIN_ROOM || this.room === `user_${userId}` || this.room === `user_${socketUserId}`;
  }

  /** @param {ProgressEvent} event */
  #jobOf(event) {
    const known = this.#jobs.get(event.jobId);
    if (known || !this.#shows(event)) return known;
    const job = new Job(event.jobId, this.#complete);
    this.#jobs.set(event.jobId, job);
    if (this.#jobs.size > KEPT) this.#jobs.delete([...this.#jobs.values()].find(({ ended }) => ended)?.jobId ?? "");
    return job;
  }

  /** @param {Job} job @param {ProgressEvent} event */
  #take(job, event) {
    if (!this.#ready) return; // it will be asked for
    job.session = this.#session;
    this.#deliver(job, job.take(event));
    if (job.hasHole) this.#catchUp(job);
  }

  /** @param {Job} job @param {ProgressEvent[]} events @param {boolean} [restored] */
  #deliver(job, events, restored = false) {
    if (!events.length && !job.error) return;
    job.error = null;
    this.#changed(job);
    for (const event of events) {
      this.#heardMs = Math.max(this.#heardMs, event.timestamp);
      this.#emit("progress", event, { restored });
      if (hasEnded(event)) this.#emit("complete", event, { restored });
    }
    if (!this.room && !restored) {
      this.#home.saved.save(job);
      if (job.ended) this.#home.leave([`job_${job.jobId}`]);
    }
    this.#checkDone();
  }

  #checkDone() {
    if (!this.room && [...this.#jobs.values()].every(isFinished)) this.#resolveDone();
  }

  /** @param {Job} [job] */
  #changed(job) {
    job?.changed();
    this.#snapshot = null;
    this.#changing ??= setTimeout(() => {
      this.#changing = undefined;
      this.#emit("change");
    }, CHANGE_MS);
  }

  /**
   * @template {keyof Listeners} K
   * @param {K} name
   * @param {Listeners[K] extends Set<infer L> ? L : never} listener
   */
  #listen(name, listener) {
    const listeners = /** @type {any} */ (this.#listeners)[name] ??= new Set();
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** One listener's defect is no other's. @param {keyof Listeners} name @param {any[]} about */
  #emit(name, ...about) {
    for (const listener of [...this.#listeners[name] ?? []]) {
      try {
        /** @type {any} */ (listener)(...about);
      } catch (error) {
        queueMicrotask(() => { throw error; });
      }
    }
  }
}
