import { Observable } from "./observable.js";

/** @typedef {import("./errors.js").CTOError} CTOError */
/** @typedef {import("./types.js").JobSummary} JobSummary */
/** @typedef {Omit<import("./types.js").JobsQuery, "cursor">} HistoryQuery filters, and the `limit` of a page */

/**
 * @typedef {object} HistoryState
 * @property {readonly JobSummary[]} jobs newest first
 * @property {CTOError | null} error of the latest request
 * @property {boolean} isPending whether neither jobs nor an error have been received
 * @property {boolean} isFetching whether a request runs
 * @property {boolean} hasNextPage
 */

/** @type {HistoryState} */
export const PENDING_HISTORY = { jobs: [], error: null, isPending: true, isFetching: false, hasNextPage: false };

/**
 * The pages of a list of jobs. `start` requests the first page.
 *
 * @extends {Observable<HistoryState>}
 */
export class JobHistory extends Observable {
  /** @type {string | null} */ #cursor = null;
  #requests = 0; // all requests; only the response to the newest is used
  #client;
  #query;

  /** @param {import("./client.js").Client} client @param {HistoryQuery} query */
  constructor(client, query) {
    super(PENDING_HISTORY);
    this.#client = client;
    this.#query = query;
  }

  /** Request the first page, unless that was done. */
  start = () => {
    if (!this.#requests) void this.refetch();
  };

  /** Request the first page again, and drop the others. */
  refetch = () => this.#fetch(null, []);

  /** Request the next page, unless a request runs or there is none. */
  fetchNextPage = async () => {
    if (!this.state.isFetching && this.state.hasNextPage) await this.#fetch(this.#cursor, this.state.jobs);
  };

  /** @param {string | null} cursor @param {readonly JobSummary[]} before the jobs of the pages before */
  async #fetch(cursor, before) {
    const request = (this.#requests += 1);
    this.set({ isFetching: true });
    /** @type {Partial<HistoryState>} */ let changes;
    try {
      const { jobs, nextCursor } = await this.#client.jobs({ ...this.#query, cursor });
      if (request !== this.#requests) return;
      this.#cursor = nextCursor;
      changes = { jobs: [...before, ...jobs], error: null, hasNextPage: nextCursor !== null };
    } catch (cause) {
      if (request !== this.#requests) return;
      changes = { error: /** @type {CTOError} */ (cause) };
    }
    this.set({ ...changes, isPending: false, isFetching: false });
  }
}
