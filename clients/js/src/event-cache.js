/**
 * Storage that survives a reload, with the methods of `sessionStorage`. It may return promises, as AsyncStorage does.
 *
 * @typedef {object} Storage
 * @property {(key: string) => string | null | Promise<string | null>} getItem
 * @property {(key: string, value: string) => unknown} setItem
 * @property {(key: string) => unknown} removeItem
 */

const SAVE_DELAY_MS = 250;

/** Stores the events of tracked jobs, so that a page continues after a reload without requesting them again. */
export class EventCache {
  /** @type {Set<import("./job.js").Job>} */ #unsaved = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #prefix;
  #storage;

  /** @param {Storage | null} storage @param {string} url address of the gateway; caches of different gateways are separate */
  constructor(storage, url) {
    this.#storage = storage;
    this.#prefix = `cto-progress ${url} `;
    globalThis.addEventListener?.("pagehide", this.flush);
  }

  /**
   * Return the stored events of a job, oldest first. Empty if there are none or they cannot be read.
   *
   * @param {string} jobId
   * @returns {Promise<import("./types.js").ProgressEvent[]>}
   */
  async load(jobId) {
    try {
      return JSON.parse(await this.#storage?.getItem(this.#prefix + jobId) ?? "[]");
    } catch {
      return [];
    }
  }

  /** Schedule the job's events to be stored. @param {import("./job.js").Job} job */
  save(job) {
    this.#unsaved.add(job);
    this.#timer ??= setTimeout(this.flush, SAVE_DELAY_MS);
  }

  /** Remove a job that is not tracked any more. @param {import("./job.js").Job} job */
  forget(job) {
    this.#unsaved.delete(job);
    void this.#storage?.removeItem(this.#prefix + job.jobId);
  }

  /** Store all scheduled events now. */
  flush = () => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { jobId, complete, events, latest } of this.#unsaved) {
      try {
        void this.#storage?.setItem(this.#prefix + jobId, JSON.stringify(complete ? events : [latest]));
      } catch { /* the storage is full: a reload requests all events from the gateway */ }
    }
    this.#unsaved.clear();
  };
}
