/**
 * Vue composables.
 *
 * @module
 */

import { computed, getCurrentInstance, inject, onScopeDispose, provide, shallowRef, toValue, watch } from "vue";
import { JobHistory, PENDING_HISTORY } from "./job-history.js";
import { cancellation, submission } from "./mutation.js";
import { EMPTY_SNAPSHOT, areFinished, isPending, trackSelection } from "./selector.js";
import { statsOf } from "./stats.js";

/** @typedef {import("./client.js").Client} Client */
/** @typedef {import("./tracker.js").Snapshot} Snapshot */
/** @typedef {import("./selector.js").Selection} Selection */
/** @typedef {import("./selector.js").Tracked & { key: string, snapshot: Snapshot }} TrackedKey a tracker, its selection, and the latest snapshot */
/** @template T @typedef {import("vue").MaybeRefOrGetter<T>} Reactive a value, a ref or a getter */

const IN_BROWSER = globalThis.window !== undefined; // a server renders without a connection: it never disposes of a component's scope

/** @type {import("vue").InjectionKey<Client>} */ const CLIENT = Symbol("cto-progress");

/** Return a plugin that provides the client to all components: `app.use(cto(connect(…)))`. @param {Client} client */
export const cto = (client) => ({ install: (/** @type {import("vue").App} */ app) => provideCTO(client, app) });

/**
 * Provide the client to the components inside this one, but not to this one itself; with `app`, to all components.
 *
 * @param {Client} client
 * @param {import("vue").App} [app]
 */
export function provideCTO(client, app) {
  if (app) app.provide(CLIENT, client);
  else provide(CLIENT, client);
}

/** Return the provided client. @returns {Client} */
export function useCTOClient() {
  const client = getCurrentInstance() ? inject(CLIENT, null) : null;
  if (!client) throw new Error("no CTO client: call app.use(cto(connect(…))) before app.mount(…), or provideCTO(connect(…)) in a component around this one");
  return client;
}

/** Return the state of the client's connection. */
export function useCTOConnection() {
  const client = useCTOClient();
  const connection = shallowRef(client.connection);
  if (IN_BROWSER) onScopeDispose(client.onConnection((current) => { connection.value = current; }));
  return connection;
}

/**
 * Track one job, with all its events. Without a `jobId`, nothing is tracked.
 *
 * @param {Reactive<string | null | undefined>} jobId
 */
export function useCTOJob(jobId) {
  const { snapshot, gap, isPending: pending } = useTracked(() => {
    const id = toValue(jobId);
    return id ? [id] : null;
  }, true);
  const job = computed(() => snapshot.value.jobs[0]);
  const latest = computed(() => job.value?.latest ?? null);
  return {
    latest, gap, isPending: pending,
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
  const { snapshot, isPending: pending } = useTracked(() => toValue(selection), false);
  const jobs = computed(() => snapshot.value.jobs);
  return { jobs, isPending: pending, stats: computed(() => statsOf(jobs.value)), error: computed(() => snapshot.value.error) };
}

/** Track several jobs as one batch: their counts, and whether all have ended. @param {Reactive<readonly string[]>} jobIds */
export function useCTOBatch(jobIds) {
  const state = useCTOJobs(jobIds);
  return { ...state, done: computed(() => areFinished(state.jobs.value)) };
}

/**
 * Return a function that starts operations, and the state of its latest call. `mutate` reports an error only in the state;
 * `mutateAsync` returns a promise. A request that failed starts no second operation when it is sent again.
 */
export const useCTOSubmit = () => useMutation(submission(useCTOClient()));

/** Return a function that cancels a job by its id, and the state of its latest call. */
export const useCTOCancel = () => useMutation(cancellation(useCTOClient()));

/**
 * List jobs, newest first, page by page. The list is not live: call `refetch` to update it.
 *
 * @param {Reactive<import("./job-history.js").HistoryQuery>} [query]
 */
export function useCTOHistory(query = {}) {
  const client = useCTOClient();
  const key = computed(() => JSON.stringify(toValue(query)));
  const history = computed(() => new JobHistory(client, JSON.parse(key.value)));
  const state = shallowRef(PENDING_HISTORY);
  watch(history, (current, _, onCleanup) => {
    const show = () => { state.value = current.state; };
    onCleanup(current.subscribe(show));
    show();
    if (IN_BROWSER) current.start();
  }, { immediate: true });
  return {
    jobs: computed(() => state.value.jobs),
    error: computed(() => state.value.error),
    isPending: computed(() => state.value.isPending),
    isFetching: computed(() => state.value.isFetching),
    hasNextPage: computed(() => state.value.hasNextPage),
    fetchNextPage: () => history.value.fetchNextPage(),
    refetch: () => history.value.refetch(),
  };
}

/**
 * @template Variables, Data
 * @param {import("./mutation.js").Mutation<Variables, Data>} mutation
 */
function useMutation(mutation) {
  const state = shallowRef(mutation.state);
  onScopeDispose(mutation.subscribe(() => { state.value = mutation.state; }));
  const { mutate, mutateAsync, reset } = mutation;
  return {
    status: computed(() => state.value.status),
    data: computed(() => state.value.data),
    error: computed(() => state.value.error),
    isPending: computed(() => state.value.status === "pending"),
    mutate, mutateAsync, reset,
  };
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
  const tracked = shallowRef(/** @type {TrackedKey | null} */ (null));
  if (IN_BROWSER) watch(key, (newKey, _, onCleanup) => {
    const tracker = trackSelection(client, JSON.parse(newKey), history);
    const first = tracker?.snapshot ?? EMPTY_SNAPSHOT;
    const update = (/** @type {Partial<TrackedKey>} */ changes) => {
      tracked.value = { key: newKey, tracker, first, snapshot: first, gap: null, ...tracked.value, ...changes };
    };
    tracked.value = null;
    update({});
    tracker?.onChange(() => update({ snapshot: tracker.snapshot }));
    tracker?.onGap((gap) => update({ gap }));
    onCleanup(() => tracker?.close());
  }, { immediate: true });
  // The watcher runs after the key has changed. A read in between must not return the jobs of the old key.
  const current = computed(() => (tracked.value?.key === key.value ? tracked.value : null));
  return {
    snapshot: computed(() => current.value?.snapshot ?? EMPTY_SNAPSHOT),
    gap: computed(() => current.value?.gap ?? null),
    isPending: computed(() => isPending(JSON.parse(key.value), current.value)),
  };
}
