/**
 * React hooks. They use no browser API, so they also work in React Native.
 *
 * @module
 */

"use client";

import { createContext, createElement, useContext, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { JobHistory } from "./job-history.js";
import { cancellation, submission } from "./mutation.js";
import { EMPTY_SNAPSHOT, areFinished, isPending, jobStateOf, memoized, trackSelection } from "./selector.js";
import { statsOf } from "./stats.js";

/** @typedef {import("./client.js").Client} Client */
/** @typedef {import("./tracker.js").Snapshot} Snapshot */
/** @typedef {import("./job.js").JobView} JobView */
/** @typedef {import("./selector.js").JobState} JobState */
/** @typedef {import("./selector.js").Selection} Selection */
/** @typedef {Snapshot & { isPending: boolean, stats: import("./stats.js").Stats }} JobsState */

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
 * Track one job, with all its events. Without a `jobId`, nothing is tracked. With `select`, the hook returns the selected value,
 * and the component renders only when that value changes.
 *
 * @template [T=JobState]
 * @param {string | null | undefined} jobId
 * @param {(job: JobState) => T} [select]
 * @returns {T}
 */
export function useCTOJob(jobId, select = asIs) {
  return useTracked(jobId ? [jobId] : null, true, toJobState, select);
}

/**
 * Track several jobs, all jobs of a user, or (admins) all jobs, with the latest event of each. With `select`, the hook returns
 * the selected value, and the component renders only when that value changes.
 *
 * @template [T=JobsState]
 * @param {Selection | null} selection
 * @param {(jobs: JobsState) => T} [select]
 * @returns {T}
 */
export function useCTOJobs(selection, select = asIs) {
  return useTracked(selection, false, toJobsState, select);
}

/**
 * Track several jobs as one batch: their counts, and whether all have ended.
 *
 * @param {readonly string[]} jobIds
 */
export function useCTOBatch(jobIds) {
  const state = useCTOJobs(jobIds);
  return { ...state, done: areFinished(state.jobs) };
}

/**
 * Return a function that starts operations, and the state of its latest call. `mutate` reports an error only in the state;
 * `mutateAsync` returns a promise. A request that failed starts no second operation when it is sent again.
 */
export function useCTOSubmit() {
  return useMutation(submission);
}

/** Return a function that cancels a job by its id, and the state of its latest call. */
export function useCTOCancel() {
  return useMutation(cancellation);
}

/**
 * List jobs, newest first, page by page. The list is not live: call `refetch` to update it.
 *
 * @param {import("./job-history.js").HistoryQuery} [query]
 */
export function useCTOHistory(query = {}) {
  const client = useCTOClient();
  const key = JSON.stringify(query);
  const history = useMemo(() => new JobHistory(client, JSON.parse(key)), [client, key]);
  useEffect(history.start, [history]);
  const state = useSyncExternalStore(history.subscribe, history.read, history.read);
  return { ...state, fetchNextPage: history.fetchNextPage, refetch: history.refetch };
}

/**
 * @template Variables, Data
 * @param {(client: Client) => import("./mutation.js").Mutation<Variables, Data>} create
 */
function useMutation(create) {
  const client = useCTOClient();
  const mutation = useMemo(() => create(client), [client, create]);
  const state = useSyncExternalStore(mutation.subscribe, mutation.read, mutation.read);
  const { mutate, mutateAsync, reset } = mutation;
  return { ...state, isPending: state.status === "pending", mutate, mutateAsync, reset };
}

/** @typedef {import("./listeners.js").Gap} Gap */
/** @typedef {import("./selector.js").Tracked & { client: Client, key: string }} TrackedKey a tracker, its client and its selection */
/** @typedef {{ snapshot: Snapshot, gap: Gap | null, isPending: boolean }} TrackedState */

/** @param {TrackedState} tracked */
const toJobState = ({ snapshot, gap, isPending: pending }) => jobStateOf(snapshot.jobs[0], gap, pending);

/** @param {TrackedState} tracked @returns {JobsState} */
const toJobsState = ({ snapshot, isPending: pending }) => ({ ...snapshot, isPending: pending, stats: statsOf(snapshot.jobs) });

/** @param {any} value */
const asIs = (value) => value;

/**
 * Keep a tracker while the selection stays the same. After a change the snapshot is empty until the new tracker exists.
 *
 * @template State, Value
 * @param {Selection | null} selection
 * @param {boolean} history
 * @param {(tracked: TrackedState) => State} toState
 * @param {(state: State) => Value} select
 */
function useTracked(selection, history, toState, select) {
  const client = useCTOClient();
  const key = JSON.stringify(selection); // a new array of the same jobs has the same key
  const [trackedKey, setTracked] = useState(/** @type {TrackedKey | null} */ (null));
  useEffect(() => {
    const tracker = trackSelection(client, JSON.parse(key), history);
    const first = tracker?.snapshot ?? EMPTY_SNAPSHOT;
    const update = (/** @type {Gap | null} */ gap) => setTracked({ client, key, tracker, first, gap });
    tracker?.onGap(update);
    update(null);
    return () => tracker?.close();
  }, [client, key, history]);
  // The effect runs after the first render with a new key. That render must not show the jobs of the old key.
  const tracked = trackedKey?.client === client && trackedKey.key === key ? trackedKey : null;
  const read = useMemo(() => {
    const snapshotOf = () => tracked?.tracker?.snapshot ?? EMPTY_SNAPSHOT;
    const current = () => ({ snapshot: snapshotOf(), gap: tracked?.gap ?? null, isPending: isPending(JSON.parse(key), tracked) });
    return memoized(snapshotOf, () => toState(current()), select);
  }, [tracked, key, toState, select]);
  const subscribe = useMemo(() => tracked?.tracker?.onChange.bind(tracked.tracker) ?? subscribeToNothing, [tracked]);
  return useSyncExternalStore(subscribe, read, read);
}
