// The operations that match the filters: pages of the REST API, kept current by live events. Unfinished operations come first;
// within both groups the newest is first. While the archive is away, only operations that are not in it are loaded.
import { isTransient } from "/client/errors.js";
import { neededReview } from "/client/index.js";
import { hasEnded, recordedOf } from "/static/console/outcome.js";
import { apiQuery, canMatchEvents, matches } from "/static/console/operations/filters.js";

const PAGE = 100;
const REFRESH_MS = 500; // until the newest page is requested after an event of an unknown operation
const SLOW_REFRESH_MS = 5_000; // the same if only the gateway knows whether an operation matches
const ARCHIVE_RETRY_MS = 5_000;
const CHANGE_MS = 100; // between two calls of `onChange`; the page stays smooth between them

/**
 * An operation of the list.
 *
 * @typedef {object} Row
 * @property {string} jobId
 * @property {number} createdAt ms
 * @property {string} status
 * @property {boolean} needsReview
 * @property {import("/client/index.js").ProgressEvent} latest
 * @property {ReturnType<typeof recordedOf>} [recorded] without it, nothing was recorded
 */

export class JobList {
  /** @type {Row[]} */ rows = [];
  /** @type {Row[]} the first of `rows` */ unfinished = [];
  isLoading = true;
  isLoadingMore = false;
  hasMore = false;
  isArchiveAway = false; // ended operations cannot be loaded
  /** @type {Error | null} */ error = null;
  changes = 0; // operations that were added by an event, or that ended, since the list was loaded
  #byId = new Map();
  #early = new Map(); // the latest events since the list is loaded, by operation: its pages may be older
  #unlisted = new Set(); // ids of operations with events that the newest pages do not contain
  #isUnsorted = false;
  #cursor = undefined; // of the next page; null after the last one, undefined before the first
  #closed = false;
  #refreshTimer;
  #changeTimer;
  #unsubscribe;
  #session;
  #filters;
  #onChange;

  /** @param {import("../session.js").Session} session @param {object} filters @param {() => void} onChange called at most ten times a second */
  constructor(session, filters, onChange) {
    this.#session = session;
    this.#filters = filters;
    this.#onChange = onChange;
    const onProgress = session.events.onProgress((event) => this.#onEvent(event));
    const onConnection = session.connection.subscribe(({ state }) => { if (state === "live") this.#scheduleRefresh(0); });
    this.#unsubscribe = () => {
      onProgress();
      onConnection();
    };
    void this.load();
  }

  close() {
    this.#closed = true;
    this.#unsubscribe();
    clearTimeout(this.#refreshTimer);
    clearTimeout(this.#changeTimer);
  }

  /** Load the newest page, and all unfinished operations. */
  async load() {
    this.isLoading = true;
    this.error = null;
    this.#early.clear();
    this.#changed();
    await this.#attempt(async () => {
      const pages = await this.#newestPages();
      if (!this.isArchiveAway) {
        this.#byId.clear();
        this.#cursor = undefined;
      }
      this.#addNewest(pages);
    });
    this.isLoading = false;
    for (const event of this.#early.values()) if (!(this.#byId.get(event.jobId)?.latest.seq >= event.seq)) this.#onEvent(event);
    this.#changed();
  }

  /** Load the next page of older operations. */
  async loadMore() {
    if (!this.hasMore || this.isLoadingMore || this.isLoading) return;
    this.isLoadingMore = true;
    this.#changed();
    await this.#attempt(async () => {
      const page = await this.#archivedPage({ cursor: this.#cursor });
      if (!page) return;
      this.#add(page.jobs);
      this.#continueAt(page.nextCursor);
    });
    this.isLoadingMore = false;
    this.#changed();
  }

  /** Sort the rows if they have changed. Cheap when most of them are in order. */
  sort() {
    if (!this.#isUnsorted) return;
    this.#isUnsorted = false;
    this.rows = [...this.#byId.values()].sort(compare);
    const firstEnded = this.rows.findIndex(({ latest }) => hasEnded(latest));
    this.unfinished = firstEnded < 0 ? this.rows : this.rows.slice(0, firstEnded);
  }

  async #attempt(load) {
    try {
      await load();
      this.error = null;
    } catch (error) {
      this.error = error;
    }
  }

  /** Return the newest page, null while the archive is away, and pages of operations that are never in the archive. */
  async #newestPages() {
    const { status, outcome, needsReview } = this.#filters;
    const isAny = !(status || outcome || needsReview);
    const unfinished = isAny ? ["waiting", "active"].map((each) => this.#page({ status: each })) : [];
    const pages = await Promise.all([this.#archivedPage({}), ...unfinished]);
    return this.isArchiveAway && isAny ? [...pages, await this.#page({ needsReview: true })] : pages;
  }

  /** Return a page, or null while the archive is away; it is then requested again until the archive is back. */
  async #archivedPage(more) {
    let page = null;
    try {
      page = await this.#session.rest.request("GET", this.#path(more));
    } catch (error) {
      if (error.code !== "archive_unavailable") page = isTransient(error) ? await this.#page(more) : Promise.reject(error);
    }
    this.isArchiveAway = page === null;
    if (this.isArchiveAway) this.#scheduleRefresh(ARCHIVE_RETRY_MS);
    return page;
  }

  /** @param {[{ jobs: object[], nextCursor: string | null } | null, ...{ jobs: object[] }[]]} pages */
  #addNewest([page, ...live]) {
    this.#add([...live, ...(page ? [page] : [])].flatMap(({ jobs }) => jobs));
    if (page && this.#cursor === undefined) this.#continueAt(page.nextCursor);
  }

  #page(more) {
    return this.#session.rest.requestWithRetry("GET", this.#path(more));
  }

  #path(more) {
    const query = apiQuery(this.#filters);
    for (const [name, value] of Object.entries({ ...more, limit: PAGE })) query.set(name, value);
    return `/api/cto/jobs?${query}`;
  }

  #continueAt(cursor) {
    this.#cursor = cursor;
    this.hasMore = cursor !== null;
  }

  #add(jobs) {
    if (this.#closed) return;
    for (const job of jobs) {
      const { jobId, createdAt, status, needsReview, latestProgress: latest } = job;
      const known = this.#byId.get(jobId);
      if (known && known.latest.seq > latest.seq) continue;
      this.#byId.set(jobId, { jobId, createdAt, status, needsReview, latest, recorded: recordedOf(job) });
    }
    this.#isUnsorted = true;
  }

  #onEvent(event) {
    if (this.isLoading) this.#early.set(event.jobId, event);
    const known = this.#byId.get(event.jobId);
    const row = rowOf(event, known);
    const isMatch = matches(this.#filters, row);
    if (!known && !(isMatch && event.seq === 1 && canMatchEvents(this.#filters))) {
      if (isMatch) this.#onUnknown(event);
      return;
    }
    if (!known || hasEnded(event)) this.changes += 1;
    if (isMatch) this.#byId.set(event.jobId, row);
    else this.#byId.delete(event.jobId);
    this.#isUnsorted = true;
    this.#changed();
  }

  /** Request an operation whose events do not show when it was created, or whether it matches. */
  #onUnknown(event) {
    if (this.#unlisted.has(event.jobId) && !hasEnded(event)) return;
    this.#unlisted.add(event.jobId);
    this.#scheduleRefresh(canMatchEvents(this.#filters) ? REFRESH_MS : SLOW_REFRESH_MS);
  }

  #scheduleRefresh(ms) {
    if (this.#closed) return;
    this.#refreshTimer ??= setTimeout(() => {
      this.#refreshTimer = undefined;
      void this.#refresh();
    }, ms);
  }

  async #refresh() {
    if (this.isLoading) return this.#scheduleRefresh(REFRESH_MS);
    await this.#attempt(async () => {
      this.#addNewest(await this.#newestPages());
      this.changes += 1;
    });
    this.#changed();
  }

  #changed() {
    if (this.#closed) return;
    this.#changeTimer ??= setTimeout(() => {
      this.#changeTimer = undefined;
      this.#onChange();
    }, CHANGE_MS);
  }
}

/** @returns {Row} */
const rowOf = (event, known) => ({
  jobId: event.jobId, createdAt: known?.createdAt ?? event.timestamp, latest: event,
  status: hasEnded(event) ? event.status : event.attempt ? "active" : "waiting",
  needsReview: hasEnded(event) && neededReview(event),
});

function compare(one, other) {
  const [isOneEnded, isOtherEnded] = [hasEnded(one.latest), hasEnded(other.latest)];
  if (isOneEnded !== isOtherEnded) return isOneEnded ? 1 : -1;
  return other.createdAt - one.createdAt || (one.jobId < other.jobId ? 1 : -1);
}
