import { isFinished } from "./job.js";

/** @typedef {import("./tracker.js").Tracker} Tracker */
/** @typedef {import("./tracker.js").Snapshot} Snapshot */
/** @typedef {import("./job.js").JobView} JobView */

/** The snapshot that hooks and composables return before they track anything. @type {Snapshot} */
export const EMPTY_SNAPSHOT = { jobs: [], error: null };

/** Return whether there are jobs, and none of them will get another event. @param {readonly JobView[]} jobs */
export const areFinished = (jobs) => jobs.length > 0 && jobs.every(isFinished);

/** @typedef {readonly string[] | { user: string } | { all: true }} Selection job ids, the jobs of a user, or (admins) all jobs */

/**
 * Track the selected jobs. Returns null without a selection.
 *
 * @param {import("./client.js").Client} client
 * @param {Selection | null} selection
 * @param {boolean} history whether to track every event, or only the latest of each job
 */
export function trackSelection(client, selection, history) {
  if (!selection) return null;
  if ("all" in selection) return client.trackAll({ history });
  if ("user" in selection) return client.trackUser(selection.user, { history });
  return client.track(/** @type {readonly string[]} */ (selection), { history });
}

/**
 * A tracker, and its snapshot when it was created.
 *
 * @typedef {object} Tracked
 * @property {Tracker | null} tracker
 * @property {Snapshot} first
 * @property {import("./listeners.js").Gap | null} gap
 */

/**
 * Return whether something is selected of which neither an event nor an error was received.
 *
 * @param {Selection | null} selection
 * @param {Pick<Tracked, "tracker" | "first"> | null} tracked null before the selection is tracked
 */
export function isPending(selection, tracked) {
  if (!selection || ("length" in selection && !selection.length)) return false;
  if (!tracked?.tracker) return true;
  const { snapshot, room } = tracked.tracker;
  if (room) return snapshot === tracked.first; // it changes when the room has sent its initial events
  return snapshot.jobs.some(({ latest, error }) => !latest && !error);
}

/**
 * The state of one job.
 *
 * @typedef {object} JobState
 * @property {import("./types.js").ProgressEvent | null} latest
 * @property {readonly import("./types.js").ProgressEvent[]} events
 * @property {boolean} ended
 * @property {import("./errors.js").CTOError | null} error
 * @property {import("./listeners.js").Gap | null} gap events that expired before they were received
 * @property {boolean} isPending whether neither an event nor an error was received
 * @property {number} progress
 * @property {number} phase
 * @property {import("./types.js").ProgressEvent["status"] | null} status
 * @property {import("./types.js").Details} details
 */

/**
 * Return the state of one job.
 *
 * @param {JobView | undefined} job
 * @param {import("./listeners.js").Gap | null} gap
 * @param {boolean} isPending
 * @returns {JobState}
 */
export function jobStateOf({ latest, events, ended, error } = NO_JOB, gap, isPending) {
  return {
    latest, events, ended, error, gap, isPending,
    progress: latest?.progress ?? 0, phase: latest?.phase ?? 0, status: latest?.status ?? null, details: latest?.details ?? {},
  };
}

/** @type {JobView} */ const NO_JOB = { jobId: "", latest: null, events: [], ended: false, error: null };

/**
 * Return a function that selects a value of a source. It returns the same object until a field of the value changes.
 *
 * @template Source, Value
 * @param {() => unknown} versionOf returns another object whenever the source may have changed
 * @param {() => Source} read
 * @param {(source: Source) => Value} select
 * @returns {() => Value}
 */
export function memoized(versionOf, read, select) {
  /** @type {unknown} */ let version;
  /** @type {Value} */ let value;
  return () => {
    const current = versionOf();
    if (current !== version) {
      version = current;
      const next = select(read());
      if (!areEqual(value, next)) value = next;
    }
    return value;
  };
}

/** Return whether two values are the same, or objects with the same fields. @param {unknown} one @param {unknown} other */
function areEqual(one, other) {
  if (Object.is(one, other)) return true;
  if (!isObject(one) || !isObject(other) || Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => Object.is(one[name], other[name]));
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isObject = (value) => typeof value === "object" && value !== null;
