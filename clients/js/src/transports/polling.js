import { CTOError, isLimit, isTransient } from "../errors.js";
import { hasEnded } from "../job.js";
import { ADMIN_ROOM, latestOfRecentJobs } from "../recent-jobs.js";
import { claimsOf } from "../token.js";

const INTERVAL_MS = 2_000; // of asking about everything once; the gateway's limit leaves room for ten jobs, twice over
const GAP_MS = 200; // between two requests: many jobs are asked about less often, not the gateway more
const FAILURES = 3; // in a row, until the connection counts as lost
const FOREVER_MS = 2 ** 31 - 1;

/**
 * RequestOptions again and again, where nothing else gets through.
 *
 * @param {import("../types.js").TransportContext} opening
 * @returns {Promise<import("../types.js").Session>}
 */
export async function open(opening) {
  await opening.rest.request("GET", "/api/cto/jobs?limit=1", { signal: opening.signal });
  return poll(opening);
}

/** Whether nobody sees the page, and so nobody minds when it learns. */
const isHidden = () => globalThis.document?.visibilityState === "hidden";

/**
 * Tell what comes after a seq, as far as it has come.
 *
 * @param {Pick<import("../types.js").TransportContext, "rest" | "tell" | "signal">} opening
 * @param {string} jobId
 * @param {number} after
 * @returns {Promise<import("../types.js").ProgressEvent[]>}
 */
export async function fetchJob({ rest, tell, signal }, jobId, after) {
  const { events } = await rest.request("GET", `/api/cto/job/${jobId}/events?after=${after}`, { signal });
  if (events.length && events[0].seq > after + 1) tell("gap", jobId, events[0].seq);
  tell("resumed", jobId, events);
  return events;
}

/**
 * See {@link latestOfRecentJobs}. Rejects with `forbidden` as a socket does: a user who lists everybody's jobs gets their own.
 *
 * @param {Pick<import("../types.js").TransportContext, "rest" | "signal">} opening
 * @param {string} room
 */
export async function fetchRoom({ rest, signal }, room) {
  const { sub, role = "user" } = claimsOf(await rest.token.get());
  if (room === ADMIN_ROOM && sub && role === "user") throw new CTOError("forbidden", `${ADMIN_ROOM} is for admins`);
  return latestOfRecentJobs((path) => rest.request("GET", path, { signal }), room);
}

/**
 * Ask about rooms and jobs in turn, until the session is closed or nothing answers any more.
 *
 * @param {Pick<import("../types.js").TransportContext, "rest" | "tell" | "closed" | "signal">} opening
 * @returns {import("../types.js").Session}
 */
function poll(opening) {
  const { tell, closed, signal } = opening;
  /** @type {Map<string, number>} the seq got so far of each job that is followed */ const jobs = new Map();
  /** @type {Map<string, Map<string, number>>} the same of the jobs that have not ended in each room */ const rooms = new Map();
  /** @type {Map<string, Set<string>>} the jobs of each room that are known to have ended */ const seen = new Map();
  let isOpen = true;
  let failures = 0;
  let notBeforeMs = 0; // as the gateway wants it
  /** @type {() => void} */ let wake = () => {}; // from idling, never from keeping a distance

  /** @param {number} ms */
  const idle = (ms) => new Promise((resolve) => {
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

  /** @param {import("../types.js").Target} about @param {() => Promise<unknown>} ask */
  const attempt = async (about, ask) => {
    if (!isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, Math.max(GAP_MS, notBeforeMs - Date.now())));
    try {
      if (isOpen) await ask();
      failures = 0;
    } catch (cause) {
      const error = /** @type {import("../errors.js").CTOError} */ (cause);
      if (!isOpen) return;
      if (error.retryAfterMs) notBeforeMs = Date.now() + error.retryAfterMs;
      const counts = isTransient(error) && (!error.retryAfterMs || isLimit(error));
      if (error.status === 401 || (counts && (failures += 1) === FAILURES)) {
        close();
        closed(error);
      } else if (!isTransient(error)) {
        if ("room" in about) rooms.delete(about.room);
        else jobs.delete(about.jobId);
        tell("refused", about, error);
      }
    }
  };

  /** @param {string} jobId @param {Map<string, number>} seqs */
  const lookAtJob = async (jobId, seqs) => {
    const last = (await fetchJob(opening, jobId, seqs.get(jobId) ?? 0)).at(-1);
    if (!last || !seqs.has(jobId)) return;
    if (hasEnded(last)) seqs.delete(jobId);
    else seqs.set(jobId, last.seq);
  };

  /** @param {string} room @param {Map<string, number>} seqs */
  const lookAtRoom = async (room, seqs) => {
    const unseen = new Map(seqs);
    const events = await fetchRoom(opening, room);
    const ended = new Set(events.filter(hasEnded).map(({ jobId }) => jobId));
    const past = seen.get(room) ?? ended;
    for (const event of events) {
      unseen.delete(event.jobId);
      if (!past.has(event.jobId) || seqs.has(event.jobId)) tell("event", event);
      if (hasEnded(event)) seqs.delete(event.jobId);
      else seqs.set(event.jobId, event.seq);
    }
    seen.set(room, ended);
    for (const jobId of unseen.keys()) await attempt({ jobId }, () => lookAtJob(jobId, seqs)); // older than the page
    tell("joined", room);
  };

  const run = async () => {
    while (isOpen) {
      const begunMs = Date.now();
      for (const [room, seqs] of [...rooms]) await attempt({ room }, () => lookAtRoom(room, seqs));
      for (const jobId of [...jobs.keys()]) await attempt({ jobId }, () => lookAtJob(jobId, jobs));
      if (isOpen) await idle(begunMs + INTERVAL_MS - Date.now());
      while (isOpen && isHidden()) await idle(FOREVER_MS);
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
    catchUp: (jobId, after) => void attempt({ jobId }, () => fetchJob(opening, jobId, after)),
    refresh: () => {}, // every request has the newest
    close,
  };
}
