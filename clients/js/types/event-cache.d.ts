/**
 * Storage that survives a reload, with the methods of `sessionStorage`. It may return promises, as AsyncStorage does.
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
/** Stores the events of tracked jobs, so that a page continues after a reload without requesting them again. */
export declare class EventCache {
    #private;
    /** @param {Storage | null} storage @param {string} url address of the gateway; caches of different gateways are separate */
    constructor(storage: Storage | null, url: string);
    /**
     * Return the stored events of a job, oldest first. Empty if there are none or they cannot be read.
     *
     * @param {string} jobId
     * @returns {Promise<import("./types.js").ProgressEvent[]>}
     */
    load(jobId: string): Promise<import("./types.js").ProgressEvent[]>;
    /** Schedule the job's events to be stored. @param {import("./job.js").Job} job */
    save(job: import("./job.js").Job): void;
    /** Remove a job that is not tracked any more. @param {import("./job.js").Job} job */
    forget(job: import("./job.js").Job): void;
    /** Store all scheduled events now. */
    flush: () => void;
}
