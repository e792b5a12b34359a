/**
 * What outlives a reload: like `sessionStorage`, which it is in a browser. May answer later, as AsyncStorage does.
 *
 * @typedef {object} Storage
 * @property {(key: string) => string | null | Promise<string | null>} getItem
 * @property {(key: string, value: string) => unknown} setItem
 * @property {(key: string) => unknown} removeItem
 */

const DELAY_MS = 250;

/** Keeps the events of the jobs that are followed, so that a page that is loaded again goes on where it was. */
export class EventCache {
  /** @type {Set<import("./job.js").Job>} */ #unsaved = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #prefix;
  #storage;

  /** @param {Storage | null} storage @param {string} url whose jobs they are */
  constructor(storage, url) {
    this.#storage = storage;
    this.#prefix = `cto-progress ${url} `;
    globalThis.addEventListener?.("pagehide", this.flush);
  }

  /**
   * What was kept of a job, oldest first.
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

  /** @param {import("./job.js").Job} job */
  save(job) {
    this.#unsaved.add(job);
    this.#timer ??= setTimeout(this.flush, DELAY_MS);
  }

  /** A job is followed no longer. @param {import("./job.js").Job} job */
  forget(job) {
    this.#unsaved.delete(job);
    void this.#storage?.removeItem(this.#prefix + job.jobId);
  }

  /** Keep at once what is to be kept. */
  flush = () => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { jobId, complete, events, latest } of this.#unsaved) {
      try {
        void this.#storage?.setItem(this.#prefix + jobId, JSON.stringify(complete ? events : [latest]));
      } catch { /* full: then a reload asks the gateway for everything */ }
    }
    this.#unsaved.clear();
  };
}
