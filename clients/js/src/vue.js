/**
 * Vue composables over the client.
 *
 * @module
 */

import { computed, getCurrentInstance, inject, onScopeDispose, provide, shallowRef, toValue, watch } from "vue";
import { statsOf } from "./stats.js";
import { EMPTY_SNAPSHOT, areFinished, trackSelection } from "./selector.js";

/** @typedef {import("./client.js").Client} Client */
/** @typedef {import("./tracker.js").Snapshot} Snapshot */
/** @typedef {import("./selector.js").Selection} Selection */
/** @template T @typedef {import("vue").MaybeRefOrGetter<T>} Given a value, a ref or a getter */

/** @type {import("vue").InjectionKey<Client>} */ const CLIENT = Symbol("cto-progress");

/** Give the client to the components inside; also as a plugin: `app.use({ install: (app) => provideCTO(client, app) })`.
 * @param {Client} client @param {import("vue").App} [app] */
export function provideCTO(client, app) {
  if (app) app.provide(CLIENT, client);
  else provide(CLIENT, client);
}

/** The client that was provided. @returns {Client} */
export function useCTOClient() {
  const client = getCurrentInstance() ? inject(CLIENT, null) : null;
  if (!client) throw new Error("call provideCTO(connect(…)) in setup() of a component around those that use CTO composables");
  return client;
}

/** How the client is connected. */
export function useCTOConnection() {
  const client = useCTOClient();
  const connection = shallowRef(client.connection);
  onScopeDispose(client.onConnection((now) => { connection.value = now; }));
  return connection;
}

/**
 * One job: all of its events from the first one on. Nothing is followed while `jobId` is missing.
 *
 * @param {Given<string | null | undefined>} jobId
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

/** Several jobs, all jobs of a user, or, for admins, every job: the latest of each. @param {Given<Selection | null>} which */
export function useCTOJobs(which) {
  const { snapshot } = useTracked(() => toValue(which), false);
  const jobs = computed(() => snapshot.value.jobs);
  return { jobs, stats: computed(() => statsOf(jobs.value)), error: computed(() => snapshot.value.error) };
}

/** Several jobs as one: counts over all of them, and whether all have ended. @param {Given<readonly string[]>} jobIds */
export function useCTOBatch(jobIds) {
  const { jobs, stats, error } = useCTOJobs(jobIds);
  return { jobs, stats, error, done: computed(() => areFinished(jobs.value)) };
}

/**
 * A tracker for as long as the same jobs are asked for. Until that of other jobs is there, nothing is shown.
 *
 * @param {() => Selection | null} which
 * @param {boolean} history
 */
function useTracked(which, history) {
  const client = useCTOClient();
  const key = computed(() => JSON.stringify(which()));
  const shown = shallowRef({ key: "", snapshot: EMPTY_SNAPSHOT, gap: /** @type {import("./tracker.js").Gap | null} */ (null) });
  watch(key, (now, _, onCleanup) => {
    const tracker = trackSelection(client, JSON.parse(now), history);
    shown.value = { key: now, snapshot: tracker?.snapshot ?? EMPTY_SNAPSHOT, gap: null };
    tracker?.onChange(() => { shown.value = { ...shown.value, snapshot: tracker.snapshot }; });
    tracker?.onGap((gap) => { shown.value = { ...shown.value, gap }; });
    onCleanup(() => tracker?.close());
  }, { immediate: true });
  // A watcher runs after the key has changed, and who reads in between must not get the jobs of the one before.
  const isCurrent = () => shown.value.key === key.value;
  return {
    snapshot: computed(() => (isCurrent() ? shown.value.snapshot : EMPTY_SNAPSHOT)),
    gap: computed(() => (isCurrent() ? shown.value.gap : null)),
  };
}
