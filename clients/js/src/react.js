/**
 * React hooks over the client. The same without a page, so that React Native has them, too.
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
const nothing = () => () => {};

/** Give the client to the components inside. @param {{ value: Client, children?: import("react").ReactNode }} props */
export const CTOProvider = ({ value, children }) => createElement(Context.Provider, { value }, children);

/** The client that the nearest `CTOProvider` gives. @returns {Client} */
export function useCTOClient() {
  const client = useContext(Context);
  if (!client) throw new Error("put <CTOProvider value={connect(…)}> around the components that use CTO hooks");
  return client;
}

/** How the client is connected. @returns {import("./types.js").Connection} */
export function useCTOConnection() {
  const client = useCTOClient();
  const subscribe = useMemo(() => client.onConnection.bind(client), [client]);
  return useSyncExternalStore(subscribe, () => client.connection, () => client.connection);
}

/**
 * One job: all of its events from the first one on. Nothing is followed while `jobId` is missing.
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
 * Several jobs, all jobs of a user, or, for admins, every job: the latest of each.
 *
 * @param {Selection | null} which
 * @returns {Snapshot & { stats: import("./stats.js").Stats }}
 */
export function useCTOJobs(which) {
  const { snapshot } = useTracked(which, false);
  return useMemo(() => ({ ...snapshot, stats: statsOf(snapshot.jobs) }), [snapshot]);
}

/**
 * Several jobs as one: counts over all of them, and whether all have ended.
 *
 * @param {readonly string[]} jobIds
 */
export function useCTOBatch(jobIds) {
  const { jobs, stats, error } = useCTOJobs(jobIds);
  return { jobs, stats, error, done: areFinished(jobs) };
}

/** @typedef {import("./tracker.js").Gap} Gap */
/** @typedef {{ client: Client, key: string, tracker: Tracker | null, gap: Gap | null }} Tracked what is followed, and for which jobs */

/**
 * A tracker for as long as the component shows the same jobs. Until that of other jobs is there, nothing is shown.
 *
 * @param {Selection | null} which
 * @param {boolean} history
 */
function useTracked(which, history) {
  const client = useCTOClient();
  const key = JSON.stringify(which); // so that a new array of the same jobs is the same
  const [tracked, setTracked] = useState(/** @type {Tracked | null} */ (null));
  useEffect(() => {
    const tracker = trackSelection(client, JSON.parse(key), history);
    const tell = (/** @type {Gap | null} */ gap) => setTracked({ client, key, tracker, gap });
    tracker?.onGap(tell);
    tell(null);
    return () => tracker?.close();
  }, [client, key, history]);
  // An effect runs after the first render with another key, and that must not show the jobs of the one before.
  const { tracker = null, gap = null } = tracked?.client === client && tracked.key === key ? tracked : {};
  const subscribe = useMemo(() => tracker?.onChange.bind(tracker) ?? nothing, [tracker]);
  const snapshot = useSyncExternalStore(subscribe, () => tracker?.snapshot ?? EMPTY_SNAPSHOT, () => EMPTY_SNAPSHOT);
  return { snapshot, gap };
}
