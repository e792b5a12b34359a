/**
 * What outlives a reload: like `sessionStorage`, which it is in a browser. May answer later, as AsyncStorage does.
 *
 * @typedef {object} Storage
 * @property {(key: string) => string | null | Promise<string | null>} getItem
 * @property {(key: string, value: string) => unknown} setItem
 * @property {(key: string) => unknown} removeItem
 */
export type Storage = {
    getItem: (key: string) => string | null | Promise<string | null>;
    setItem: (key: string, value: string) => unknown;
    removeItem: (key: string) => unknown;
};
/** Keeps the events of the jobs that are followed, so that a page that is loaded again goes on where it was. */
export declare class EventCache {
    #private;
    /** @param {Storage | null} storage @param {string} url whose jobs they are */
    constructor(storage: Storage | null, url: string);
    /**
     * What was kept of a job, oldest first.
     *
     * @param {string} jobId
     * @returns {Promise<import("./types.js").ProgressEvent[]>}
     */
    load(jobId: string): Promise<import("./types.js").ProgressEvent[]>;
    /** @param {import("./job.js").Job} job */
    save(job: import("./job.js").Job): void;
    /** A job is followed no longer. @param {import("./job.js").Job} job */
    forget(job: import("./job.js").Job): void;
    /** Keep at once what is to be kept. */
    flush: () => void;
}
