import { isLimit, isTransient } from "./errors.js";
import { Job, hasEnded, isFinished } from "./job.js";
import { Listeners } from "./listeners.js";
import { ADMIN_ROOM } from "./recent-jobs.js";

const RETRY_MS = 2_000;
const CHANGE_MS = 16; // about one frame of a display
const MAX_ROOM_JOBS = 500; // in a room with more jobs, ended ones are dropped

/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./errors.js").CTOError} CTOError */
/** @typedef {import("./listeners.js").Delivery} Delivery */
/** @typedef {import("./listeners.js").Gap} Gap */
/** @typedef {import("./job.js").JobView} JobView */
/** @typedef {{ isOpen: boolean, send: (...command: import("./types.js").ClientCommand) => void }} CommandSender */
/** @typedef {{ jobs: readonly JobView[], error: CTOError | null }} Snapshot `error`: why the room was refused */

/**
 * The parts of a client that a tracker uses.
 *
 * @typedef {object} TrackerContext
 * @property {() => CommandSender | undefined} manager the connection manager; undefined until it is created
 * @property {import("./event-cache.js").EventCache} cache
 * @property {(room: string) => Promise<ProgressEvent[]>} recent returns the latest events of a room's newest jobs, oldest job first
 * @property {(rooms: readonly string[]) => void} leave leaves the rooms that no tracker needs
 * @property {(tracker: Tracker) => void} onClosed
 */

/** Tracks some jobs, or all jobs of a room. The client's `track…` methods create it. */
export class Tracker {
  /** @type {Map<string, Job>} */ #jobs = new Map();
  /** @type {Snapshot | null} */ #snapshot = null;
  /** @type {CTOError | null} why the room was refused */ error = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #changeTimer;
  /** @type {() => void} */ #resolveDone = () => {};
  #listeners = new Listeners();
  #session = 0;
  #ready = false; // whether the cached events have been loaded
  #closed = false;
  #missedSinceMs = 0; // after a reconnection to a room: the time of the newest event before it
  #newestEventMs = Date.now(); // until the first event: when tracking began
  #context;
  #complete;

  /**
   * @param {TrackerContext} context
   * @param {string | undefined} room the room whose jobs it tracks
   * @param {readonly string[]} jobIds the jobs that it tracks, if there is no room
   * @param {boolean} complete whether to track every event, or only the latest of each job
   */
  constructor(context, room, jobIds, complete) {
    this.#context = context;
    this.room = room;
    this.#complete = complete;
    /** @type {Promise<void>} resolves when every job has ended, or the tracker is closed */
    this.done = new Promise((resolve) => { this.#resolveDone = resolve; });
    for (const jobId of jobIds) this.#jobs.set(jobId, new Job(jobId, complete));
    void this.#restore();
  }

  /**
   * Listen to every event: once each, in order. Like all `on…` methods, it returns a function that unsubscribes.
   *
   * @param {(event: ProgressEvent, delivery: Delivery) => void} listener
   */
  onProgress(listener) { return this.#listeners.add("progress", listener); }

  /** Listen to the last event of each job: exactly once per job. @param {(event: ProgressEvent, delivery: Delivery) => void} listener */
  onComplete(listener) { return this.#listeners.add("complete", listener); }

  /** Listen to gaps: events that expired before they were received. @param {(gap: Gap) => void} listener */
  onGap(listener) { return this.#listeners.add("gap", listener); }

  /** Listen to refusals of a job or room. @param {(error: CTOError, jobId?: string) => void} listener */
  onError(listener) { return this.#listeners.add("error", listener); }

  /** Listen to changes of the snapshot: at most one call per frame. @param {() => void} listener */
  onChange(listener) { return this.#listeners.add("change", listener); }

  /** The current state of all jobs. The object stays the same until something changes. */
  get snapshot() {
    this.#snapshot ??= { jobs: [...this.#jobs.values()].map((job) => job.view), error: this.error };
    return this.#snapshot;
  }

  /** Return the current state of one job. @param {string} [jobId] by default the first job */
  job(jobId) {
    return (jobId === undefined ? [...this.#jobs.values()][0] : this.#jobs.get(jobId))?.view;
  }

  /** The rooms that this tracker needs. */
  get rooms() {
    return this.room ? [this.room] : [...this.#jobs.values()].filter(({ ended }) => !ended).map(({ jobId }) => `job_${jobId}`);
  }

  /** Iterate over every event from now on, until all jobs have ended or the tracker is closed. */
  async *[Symbol.asyncIterator]() {
    /** @type {ProgressEvent[]} */ const queue = [];
    let isOver = false;
    let wake = (/** @type {any} */ _) => {};
    const unsubscribe = this.onProgress((event) => {
      queue.push(event);
      wake(0);
    });
    void this.done.then(() => {
      isOver = true;
      wake(0);
    });
    try {
      for (;;) {
        while (queue.length) yield /** @type {ProgressEvent} */ (queue.shift());
        if (isOver) return;
        await new Promise((resolve) => { wake = resolve; });
      }
    } finally {
      unsubscribe();
    }
  }

  close() {
    this.#closed = true;
    this.#ready = false;
    clearTimeout(this.#changeTimer);
    this.#listeners.clear();
    if (!this.room) this.#jobs.forEach((job) => this.#context.cache.forget(job));
    this.#context.onClosed(this);
    this.#resolveDone();
  }

  // --- Handlers of the connection's messages; each has the name of its message. ---

  /** The connection has opened: repeat all commands. @internal */
  opened() {
    if (!this.#ready) return;
    this.#missedSinceMs = this.#session && this.#newestEventMs;
    this.#session += 1;
    for (const job of this.#jobs.values()) job.requested = false;
    if (this.room) this.#context.manager()?.send("join", this.room);
    else for (const job of this.#jobs.values()) this.#follow(job);
  }

  /** @internal @param {ProgressEvent} event */
  event(event) {
    const job = this.#jobOf(event);
    if (job) this.#accept(job, event);
  }

  /** A room has sent its unfinished jobs: catch up with known jobs that were not among them. @internal @param {string} room */
  joined(room) {
    if (this.room !== room) return;
    this.error = null;
    this.#changed();
    for (const job of this.#jobs.values()) {
      if (!job.ended && job.session !== this.#session) this.#catchUp(job);
    }
    if (this.#missedSinceMs) void this.#addMissedJobs(this.#missedSinceMs);
    this.#missedSinceMs = 0;
  }

  /** @internal @param {string} jobId @param {readonly ProgressEvent[]} events */
  resumed(jobId, events) {
    const job = this.#jobs.get(jobId);
    if (!job) return;
    job.requested = false;
    job.session = this.#session;
    this.#deliver(job, events.flatMap((event) => job.accept(event)));
    if (job.hasHole) this.#catchUp(job);
    this.#context.leave([`job_${jobId}`]); // catching up has joined it; a tracker that follows the job keeps it
  }

  /** @internal @param {string} jobId @param {number} oldestSeq */
  gap(jobId, oldestSeq) {
    const job = this.#jobs.get(jobId);
    if (!job) return;
    job.requested = false;
    if (oldestSeq <= job.seq + 1) return;
    this.#listeners.emit("gap", { jobId, after: job.seq, oldestSeq });
    this.#deliver(job, job.skipTo(oldestSeq));
    this.#follow(job);
  }

  /** @internal @param {import("./types.js").Target} target @param {CTOError} error */
  refused(target, error) {
    const job = "jobId" in target ? this.#jobs.get(target.jobId) : undefined;
    if (job) job.requested = false;
    else if (!("room" in target && this.rooms.includes(target.room))) return;
    const refused = job ?? this;
    if (isTransient(error) && !isLimit(error)) {
      setTimeout(() => this.#repeat(refused), error.retryAfterMs ?? RETRY_MS);
      return;
    }
    const isNew = refused.error?.code !== error.code;
    refused.error = error;
    this.#changed(job);
    if (isNew) this.#listeners.emit("error", error, job?.jobId);
    this.#checkDone();
  }

  /** Functions that repeat the commands that were refused because of a limit. @internal @returns {(() => void)[]} */
  get refusals() {
    return [this, ...this.#jobs.values()].filter(({ error }) => error && isLimit(error)).map((refused) => () => this.#repeat(refused));
  }

  /** Repeat the commands for a job, or for all jobs. @param {Job | Tracker} refused */
  #repeat(refused) {
    if (refused instanceof Job) this.#follow(refused);
    else this.opened();
  }

  async #restore() {
    await undefined; // the caller adds its listeners first
    for (const job of this.#jobs.values()) {
      for (const event of await this.#context.cache.load(job.jobId)) {
        job.seq ||= event.seq - 1; // the cached events may not begin with the first one
        this.#deliver(job, job.accept(event), true);
      }
    }
    this.#ready = !this.#closed;
    if (this.#context.manager()?.isOpen) this.opened();
  }

  /** Add the jobs that started and ended while the connection was lost. @param {number} sinceMs */
  async #addMissedJobs(sinceMs) {
    const events = await this.#context.recent(/** @type {string} */ (this.room)).catch(() => []);
    for (const event of events) if (!this.#jobs.has(event.jobId) && event.timestamp > sinceMs) this.event(event);
  }

  /** @param {Job} job */
  #follow(job) {
    if (isFinished(job) || this.#closed) return;
    if (this.room) this.#catchUp(job);
    else this.#context.manager()?.send("follow", job.jobId, job.seq);
  }

  /** @param {Job} job */
  #catchUp(job) {
    if (job.requested) return;
    job.requested = true;
    this.#context.manager()?.send("catchUp", job.jobId, job.seq);
  }

  /** @param {ProgressEvent} event */
  #isInRoom({ userId, socketUserId }) {
    return this.room === ADMIN_ROOM || this.room === `user_${userId}` || this.room === `user_${socketUserId}`;
  }

  /** @param {ProgressEvent} event */
  #jobOf(event) {
    const known = this.#jobs.get(event.jobId);
    if (known || !this.#isInRoom(event)) return known;
    const job = new Job(event.jobId, this.#complete);
    this.#jobs.set(event.jobId, job);
    if (this.#jobs.size > MAX_ROOM_JOBS) this.#jobs.delete([...this.#jobs.values()].find(({ ended }) => ended)?.jobId ?? "");
    return job;
  }

  /** @param {Job} job @param {ProgressEvent} event */
  #accept(job, event) {
    if (!this.#ready) return; // it is requested later
    job.session = this.#session;
    this.#deliver(job, job.accept(event));
    if (job.hasHole) this.#catchUp(job);
  }

  /** @param {Job} job @param {ProgressEvent[]} events @param {boolean} [restored] */
  #deliver(job, events, restored = false) {
    if (!events.length && !job.error) return;
    job.error = null;
    this.#changed(job);
    for (const event of events) {
      this.#newestEventMs = Math.max(this.#newestEventMs, event.timestamp);
      this.#listeners.emit("progress", event, { restored });
      if (hasEnded(event)) this.#listeners.emit("complete", event, { restored });
    }
    if (!this.room && !restored) {
      this.#context.cache.save(job);
      if (job.ended) this.#context.leave([`job_${job.jobId}`]);
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
    this.#changeTimer ??= setTimeout(() => {
      this.#changeTimer = undefined;
      this.#listeners.emit("change");
    }, CHANGE_MS);
  }
}
