/**
 * React hooks. They use no browser API, so they also work in React Native.
 *
 * @module
 */

"use client";

import { createContext, createElement, useContext, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { statsOf } from "./stats.js";
import { EMPTY_SNAPSHOT, areFinished, trackSelection } from "./selector.js";

/** @typedef {import("./client.js").Client} Client */
/** @typedef {import("./tracker.js").Tracker} Tracker */
/** @typedef {import("./tracker.js").Snapshot} Snapshot */
/** @typedef {import("./job.js").JobView} JobView */
/** @typedef {import("./selector.js").Selection} Selection */

/** @type {import("react").Context<Client | null>} */ const Context = createContext(/** @type {Client | null} */ (null));
const subscribeToNothing = () => () => {};

/** Provide the client to the components inside. @param {{ value: Client, children?: import("react").ReactNode }} props */
export const CTOProvider = ({ value, children }) => createElement(Context.Provider, { value }, children);

/** Return the client of the nearest `CTOProvider`. @returns {Client} */
export function useCTOClient() {
  const client = useContext(Context);
  if (!client) throw new Error("no CTO client: put <CTOProvider value={connect(…)}> around the components that use CTO hooks");
  return client;
}

/** Return the state of the client's connection. @returns {import("./types.js").Connection} */
export function useCTOConnection() {
  const client = useCTOClient();
  const subscribe = useMemo(() => client.onConnection.bind(client), [client]);
  return useSyncExternalStore(subscribe, () => client.connection, () => client.connection);
}

/**
 * Track one job, with all its events. Without a `jobId`, nothing is tracked.
 *
 * @param {string | null | undefined} jobId
 */
export function useCTOJob(jobId) {
  const { snapshot, gap } = useTracked(jobId ? [jobId] : null, true);
  const { latest = null, events = [], ended = false, error = null } = snapshot.jobs[0] ?? {};
  return {
    latest, events, ended, error, gap,
    progress: latest?.progress ?? 0, phase: latest?.phase ?? 0, status: latest?.status ?? null, details: latest?.details ?? {},
  };
}

/**
 * Track several jobs, all jobs of a user, or (admins) all jobs, with the latest event of each.
 *
 * @param {Selection | null} selection
 * @returns {Snapshot & { stats: import("./stats.js").Stats }}
 */
export function useCTOJobs(selection) {
  const { snapshot } = useTracked(selection, false);
  return useMemo(() => ({ ...snapshot, stats: statsOf(snapshot.jobs) }), [snapshot]);
}

/**
 * Track several jobs as one batch: their counts, and whether all have ended.
 *
 * @param {readonly string[]} jobIds
 */
export function useCTOBatch(jobIds) {
  const { jobs, stats, error } = useCTOJobs(jobIds);
  return { jobs, stats, error, done: areFinished(jobs) };
}

/** @typedef {import("./tracker.js").Gap} Gap */
/** @typedef {{ client: Client, key: string, tracker: Tracker | null, gap: Gap | null }} Tracked a tracker, its client and its selection */

/**
 * Keep a tracker while the selection stays the same. After a change the snapshot is empty until the new tracker exists.
 *
 * @param {Selection | null} selection
 * @param {boolean} history
 */
function useTracked(selection, history) {
  const client = useCTOClient();
  const key = JSON.stringify(selection); // a new array of the same jobs has the same key
  const [tracked, setTracked] = useState(/** @type {Tracked | null} */ (null));
  useEffect(() => {
    const tracker = trackSelection(client, JSON.parse(key), history);
    const update = (/** @type {Gap | null} */ gap) => setTracked({ client, key, tracker, gap });
    tracker?.onGap(update);
    update(null);
    return () => tracker?.close();
  }, [client, key, history]);
  // The effect runs after the first render with a new key. That render must not show the jobs of the old key.
  const { tracker = null, gap = null } = tracked?.client === client && tracked.key === key ? tracked : {};
  const subscribe = useMemo(() => tracker?.onChange.bind(tracker) ?? subscribeToNothing, [tracker]);
  const snapshot = useSyncExternalStore(subscribe, () => tracker?.snapshot ?? EMPTY_SNAPSHOT, () => EMPTY_SNAPSHOT);
  return { snapshot, gap };
}
