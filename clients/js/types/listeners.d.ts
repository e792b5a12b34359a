/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {{ restored: boolean }} Delivery `restored`: the page had received this event before it was reloaded */
/** @typedef {{ jobId: string, after: number, oldestSeq: number }} Gap the events after `after` and before `oldestSeq` have expired */
export type ProgressEvent = import("./types.js").ProgressEvent;
export type Delivery = {
    restored: boolean;
};
export type Gap = {
    jobId: string;
    after: number;
    oldestSeq: number;
};
export type ListenerTypes = {
    progress: (event: ProgressEvent, delivery: Delivery) => void;
    complete: (event: ProgressEvent, delivery: Delivery) => void;
    gap: (gap: Gap) => void;
    error: (error: import("./errors.js").CTOError, jobId?: string) => void;
    change: () => void;
};
/**
 * The listener of each event of a tracker.
 *
 * @typedef {object} ListenerTypes
 * @property {(event: ProgressEvent, delivery: Delivery) => void} progress
 * @property {(event: ProgressEvent, delivery: Delivery) => void} complete
 * @property {(gap: Gap) => void} gap
 * @property {(error: import("./errors.js").CTOError, jobId?: string) => void} error
 * @property {() => void} change
 */
/** The listeners of a tracker, by the name of their event. */
export declare class Listeners {
    #private;
    /**
     * Add a listener. Returns a function that removes it.
     *
     * @template {keyof ListenerTypes} K
     * @param {K} name
     * @param {ListenerTypes[K]} listener
     */
    add<K extends keyof ListenerTypes>(name: K, listener: ListenerTypes[K]): () => undefined;
    /**
     * Call the listeners. An error in one is reported, and does not affect the others.
     *
     * @template {keyof ListenerTypes} K
     * @param {K} name
     * @param {Parameters<ListenerTypes[K]>} args
     */
    emit<K extends keyof ListenerTypes>(name: K, ...args: Parameters<ListenerTypes[K]>): void;
    clear(): void;
}
