/**
 * What outlives a reload: like `sessionStorage`, which it is in a browser. May answer later, as AsyncStorage does.
 *
 * @typedef {object} Storage
 * @property {(key: string) => string | null | Promise<string | null>} getItem
 * @property {(key: string, value: string) => unknown} setItem
 * @property {(key: string) => unknown} removeItem
 */

const KEPT = 20; // jobs
const DELAY_MS = 250;

/** Keeps the events of the jobs that are followed, so that a page that is loaded again goes on where it was. */
export class Saved {
  /** @type {Map<string, import("./job.js").Job>} */ #unsaved = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #prefix = "";
  #storage;
  #owner;

  /** @param {Storage | null} storage @param {Promise<string>} owner whose jobs they are */
  constructor(storage, owner) {
    this.#storage = storage;
    void owner.then((name) => { this.#prefix = `cto-progress ${name}`; });
    this.#owner = owner;
    globalThis.addEventListener?.("pagehide", () => this.flush());
  }

  /**
   * What was kept of a job, oldest first.
   *
   * @param {string} jobId
   * @returns {Promise<import("./types.js").ProgressEvent[]>}
   */
  async load(jobId) {
    await this.#owner;
    try {
      return JSON.parse(await this.#storage?.getItem(`${this.#prefix} ${jobId}`) ?? "[]");
    } catch {
      return [];
    }
  }

  /** @param {import("./job.js").Job} job */
  save(job) {
    if (!this.#storage) return;
    this.#unsaved.set(job.jobId, job);
    this.#timer ??= setTimeout(() => this.flush(), DELAY_MS);
  }

  /** Keep at once what is to be kept. */
  async flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const jobs = [...this.#unsaved.values()];
    this.#unsaved.clear();
    for (const { jobId, complete, events, latest } of jobs) {
      try {
        await this.#storage?.setItem(`${this.#prefix} ${jobId}`, JSON.stringify(complete ? events : [latest]));
      } catch { /* full: then a reload asks the gateway for everything */ }
    }
    await this.#forgetOldest(jobs.map(({ jobId }) => jobId));
  }

  /** @param {string[]} newest */
  async #forgetOldest(newest) {
    try {
      const kept = JSON.parse(await this.#storage?.getItem(this.#prefix) ?? "[]");
      const all = [...kept.filter((/** @type {string} */ jobId) => !newest.includes(jobId)), ...newest];
      for (const jobId of all.splice(0, Math.max(0, all.length - KEPT))) {
        await this.#storage?.removeItem(`${this.#prefix} ${jobId}`);
      }
      await this.#storage?.setItem(this.#prefix, JSON.stringify(all));
    } catch { /* as above */ }
  }
}
