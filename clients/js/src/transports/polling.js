import { CTOError, isLimit, isTransient } from "../errors.js";
import { hasEnded } from "../job.js";
import { ADMIN_ROOM, latestOfRecentJobs } from "../recent-jobs.js";
import { claimsOf } from "../token.js";

const INTERVAL_MS = 2_000; // between two rounds: ten jobs use half of the gateway's rate limit
const REQUEST_GAP_MS = 200; // between two requests: with many jobs the rounds become longer, the rate stays the same
const MAX_FAILURES = 3; // in a row, until the connection counts as lost
const FOREVER_MS = 2 ** 31 - 1;

/**
 * Open a polling connection: it requests rooms and jobs from the REST API at intervals.
 *
 * @param {import("../types.js").TransportContext} context
 * @returns {Promise<import("../types.js").Session>}
 */
export async function open(context) {
  await context.rest.request("GET", "/api/cto/jobs?limit=1", { signal: context.signal });
  return poll(context);
}

/** Return whether the page is hidden, so that updates can wait. */
const isHidden = () => globalThis.document?.visibilityState === "hidden";

/**
 * Request and emit the events of a job after a seq. Returns them.
 *
 * @param {Pick<import("../types.js").TransportContext, "rest" | "emit" | "signal">} context
 * @param {string} jobId
 * @param {number} after
 * @returns {Promise<import("../types.js").ProgressEvent[]>}
 */
export async function fetchJob({ rest, emit, signal }, jobId, after) {
  const { events } = await rest.request("GET", `/api/cto/job/${encodeURIComponent(jobId)}/events?after=${after}`, { signal });
  if (events.length && events[0].seq > after + 1) emit("gap", jobId, events[0].seq);
  emit("resumed", jobId, events);
  return events;
}

/**
 * See {@link latestOfRecentJobs}. Rejects with `forbidden` as a socket does: REST would return a user's own jobs instead.
 *
 * @param {Pick<import("../types.js").TransportContext, "rest" | "signal">} context
 * @param {string} room
 */
export async function fetchRoom({ rest, signal }, room) {
  const { sub, role = "user" } = claimsOf(await rest.token.get());
  if (room === ADMIN_ROOM && sub && role === "user") throw new CTOError("forbidden", `${ADMIN_ROOM} is for admins`);
  return latestOfRecentJobs((path) => rest.request("GET", path, { signal }), room);
}

/**
 * Poll rooms and jobs in turn, until the session is closed or requests keep failing.
 *
 * @param {Pick<import("../types.js").TransportContext, "rest" | "emit" | "onClosed" | "signal">} context
 * @returns {import("../types.js").Session}
 */
function poll(context) {
  const { emit, onClosed, signal } = context;
  /** @type {Map<string, number>} the last seq of each followed job */ const jobs = new Map();
  /** @type {Map<string, Map<string, number>>} the last seq of each unfinished job, by room */ const rooms = new Map();
  /** @type {Map<string, Set<string>>} the jobs known to have ended, by room */ const endedJobs = new Map();
  let isOpen = true;
  let failures = 0;
  let notBeforeMs = 0; // from the gateway's Retry-After
  /** @type {() => void} */ let wake = () => {}; // ends a pause between rounds, never one between requests

  /** @param {number} ms */
  const pause = (ms) => new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve(undefined);
    };
  });
  const onVisible = () => { if (!isHidden()) wake(); };
  globalThis.document?.addEventListener?.("visibilitychange", onVisible);
  const close = () => {
    isOpen = false;
    wake();
    globalThis.document?.removeEventListener?.("visibilitychange", onVisible);
  };
  signal.addEventListener("abort", close);

  /**
   * Send a request, and report a refusal. Returns whether it is done: a request that failed for a time is not.
   *
   * @param {import("../types.js").Target} target
   * @param {() => Promise<unknown>} request
   */
  const attempt = async (target, request) => {
    if (!isOpen) return true;
    await new Promise((resolve) => setTimeout(resolve, Math.max(REQUEST_GAP_MS, notBeforeMs - Date.now())));
    try {
      if (isOpen) await request();
      failures = 0;
      return true;
    } catch (cause) {
      const error = /** @type {import("../errors.js").CTOError} */ (cause);
      if (!isOpen) return true;
      if (error.retryAfterMs) notBeforeMs = Date.now() + error.retryAfterMs;
      const counts = isTransient(error) && (!error.retryAfterMs || isLimit(error));
      if (error.status === 401 || (counts && (failures += 1) === MAX_FAILURES)) {
        close();
        onClosed(error);
      } else if (!isTransient(error)) {
        if ("room" in target) rooms.delete(target.room);
        else jobs.delete(target.jobId);
        emit("refused", target, error);
        return true;
      }
      return false;
    }
  };

  /** Request the missed events of a job until there is a response: nothing else repeats this request. @param {string} jobId @param {number} after */
  const catchUp = async (jobId, after) => {
    while (!(await attempt({ jobId }, () => fetchJob(context, jobId, after))));
  };

  /** @param {string} jobId @param {Map<string, number>} seqs */
  const pollJob = async (jobId, seqs) => {
    const last = (await fetchJob(context, jobId, seqs.get(jobId) ?? 0)).at(-1);
    if (!last || !seqs.has(jobId)) return;
    if (hasEnded(last)) seqs.delete(jobId);
    else seqs.set(jobId, last.seq);
  };

  /** @param {string} room @param {Map<string, number>} seqs */
  const pollRoom = async (room, seqs) => {
    const unlisted = new Map(seqs);
    const events = await fetchRoom(context, room);
    const ended = new Set(events.filter(hasEnded).map(({ jobId }) => jobId));
    const endedBefore = endedJobs.get(room) ?? ended;
    for (const event of events) {
      unlisted.delete(event.jobId);
      if (!endedBefore.has(event.jobId) || seqs.has(event.jobId)) emit("event", event);
      if (hasEnded(event)) seqs.delete(event.jobId);
      else seqs.set(event.jobId, event.seq);
    }
    endedJobs.set(room, ended);
    for (const jobId of unlisted.keys()) await attempt({ jobId }, () => pollJob(jobId, seqs)); // older than the listed jobs
    emit("joined", room);
  };

  const run = async () => {
    while (isOpen) {
      const startMs = Date.now();
      for (const [room, seqs] of [...rooms]) await attempt({ room }, () => pollRoom(room, seqs));
      for (const jobId of [...jobs.keys()]) await attempt({ jobId }, () => pollJob(jobId, jobs));
      if (isOpen) await pause(startMs + INTERVAL_MS - Date.now());
      while (isOpen && isHidden()) await pause(FOREVER_MS);
    }
  };
  void run();

  return {
    join: (room) => {
      rooms.set(room, rooms.get(room) ?? new Map());
      wake();
    },
    leave: (room) => {
      rooms.delete(room);
      jobs.delete(room.replace(/^job_/, ""));
    },
    follow: (jobId, after) => {
      jobs.set(jobId, after);
      wake();
    },
    catchUp: (jobId, after) => void catchUp(jobId, after),
    refresh: () => {}, // every request uses the newest token
    subscriptions: () => [
      ...[...rooms.keys()].map((room) => /** @type {import("../types.js").Subscription} */ (["join", room])),
      ...[...jobs].map(([jobId, seq]) => /** @type {import("../types.js").Subscription} */ (["follow", jobId, seq])),
    ],
    close,
  };
}
