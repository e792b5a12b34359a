/**
 * Vue composables.
 *
 * @module
 */

import { computed, getCurrentInstance, inject, onScopeDispose, provide, shallowRef, toValue, watch } from "vue";
import { statsOf } from "./stats.js";
import { EMPTY_SNAPSHOT, areFinished, trackSelection } from "./selector.js";

/** @typedef {import("./client.js").Client} Client */
/** @typedef {import("./tracker.js").Snapshot} Snapshot */
/** @typedef {import("./selector.js").Selection} Selection */
/** @template T @typedef {import("vue").MaybeRefOrGetter<T>} Reactive a value, a ref or a getter */

/** @type {import("vue").InjectionKey<Client>} */ const CLIENT = Symbol("cto-progress");

/** Provide the client to the components inside; also as a plugin: `app.use({ install: (app) => provideCTO(client, app) })`.
 * @param {Client} client @param {import("vue").App} [app] */
export function provideCTO(client, app) {
  if (app) app.provide(CLIENT, client);
  else provide(CLIENT, client);
}

/** Return the provided client. @returns {Client} */
export function useCTOClient() {
  const client = getCurrentInstance() ? inject(CLIENT, null) : null;
  if (!client) throw new Error("no CTO client: call provideCTO(connect(…)) in setup() of a component around those that use CTO composables");
  return client;
}

/** Return the state of the client's connection. */
export function useCTOConnection() {
  const client = useCTOClient();
  const connection = shallowRef(client.connection);
  onScopeDispose(client.onConnection((current) => { connection.value = current; }));
  return connection;
}

/**
 * Track one job, with all its events. Without a `jobId`, nothing is tracked.
 *
 * @param {Reactive<string | null | undefined>} jobId
 */
export function useCTOJob(jobId) {
  const { snapshot, gap } = useTracked(() => {
    const id = toValue(jobId);
    return id ? [id] : null;
  }, true);
  const job = computed(() => snapshot.value.jobs[0]);
  const latest = computed(() => job.value?.latest ?? null);
  return {
    latest, gap,
    events: computed(() => job.value?.events ?? []),
    ended: computed(() => job.value?.ended ?? false),
    error: computed(() => job.value?.error ?? null),
    progress: computed(() => latest.value?.progress ?? 0),
    phase: computed(() => latest.value?.phase ?? 0),
    status: computed(() => latest.value?.status ?? null),
    details: computed(() => latest.value?.details ?? {}),
  };
}

/** Track several jobs, all jobs of a user, or (admins) all jobs, with the latest event of each. @param {Reactive<Selection | null>} selection */
export function useCTOJobs(selection) {
  const { snapshot } = useTracked(() => toValue(selection), false);
  const jobs = computed(() => snapshot.value.jobs);
  return { jobs, stats: computed(() => statsOf(jobs.value)), error: computed(() => snapshot.value.error) };
}

/** Track several jobs as one batch: their counts, and whether all have ended. @param {Reactive<readonly string[]>} jobIds */
export function useCTOBatch(jobIds) {
  const { jobs, stats, error } = useCTOJobs(jobIds);
  return { jobs, stats, error, done: computed(() => areFinished(jobs.value)) };
}

/**
 * Keep a tracker while the selection stays the same. After a change the snapshot is empty until the new tracker exists.
 *
 * @param {() => Selection | null} selection
 * @param {boolean} history
 */
function useTracked(selection, history) {
  const client = useCTOClient();
  const key = computed(() => JSON.stringify(selection()));
  const tracked = shallowRef({ key: "", snapshot: EMPTY_SNAPSHOT, gap: /** @type {import("./tracker.js").Gap | null} */ (null) });
  watch(key, (newKey, _, onCleanup) => {
    const tracker = trackSelection(client, JSON.parse(newKey), history);
    tracked.value = { key: newKey, snapshot: tracker?.snapshot ?? EMPTY_SNAPSHOT, gap: null };
    tracker?.onChange(() => { tracked.value = { ...tracked.value, snapshot: tracker.snapshot }; });
    tracker?.onGap((gap) => { tracked.value = { ...tracked.value, gap }; });
    onCleanup(() => tracker?.close());
  }, { immediate: true });
  // The watcher runs after the key has changed. A read in between must not return the jobs of the old key.
  const isCurrent = () => tracked.value.key === key.value;
  return {
    snapshot: computed(() => (isCurrent() ? tracked.value.snapshot : EMPTY_SNAPSHOT)),
    gap: computed(() => (isCurrent() ? tracked.value.gap : null)),
  };
}
