export type ProgressEvent = import("./types.js").ProgressEvent;
export type CTOError = import("./errors.js").CTOError;
export type Link = {
    isOpen: boolean;
    ask: (...asked: import("./types.js").ClientCommand) => void;
};
export type JobView = import("./job.js").JobView;
export type Delivery = {
    restored: boolean;
};
export type Gap = {
    jobId: string;
    after: number;
    oldestSeq: number;
};
export type Snapshot = {
    jobs: readonly JobView[];
    error: CTOError | null;
};
export type Listeners = {
    progress: Set<(event: ProgressEvent, delivery: Delivery) => void>;
    complete: Set<(event: ProgressEvent, delivery: Delivery) => void>;
    gap: Set<(gap: Gap) => void>;
    error: Set<(error: CTOError, jobId?: string) => void>;
    change: Set<() => void>;
};
export type TrackerContext = {
    /**
     * the connection, once there is one
     */
    link: () => Link | undefined;
    saved: import("./event-cache.js").EventCache;
    /**
     * the latest events of a room's newest jobs, oldest job first
     */
    newest: (room: string) => Promise<ProgressEvent[]>;
    /**
     * leaves those of the rooms that no tracker needs
     */
    leave: (rooms: readonly string[]) => void;
    closed: (tracker: Tracker) => void;
};
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./errors.js").CTOError} CTOError */
/** @typedef {{ isOpen: boolean, ask: (...asked: import("./types.js").ClientCommand) => void }} Link */
/** @typedef {import("./job.js").JobView} JobView */
/** @typedef {{ restored: boolean }} Delivery `restored`: the page had this event before it was loaded again */
/** @typedef {{ jobId: string, after: number, oldestSeq: number }} Gap */
/** @typedef {{ jobs: readonly JobView[], error: CTOError | null }} Snapshot `error`: why a room is refused */
/**
 * @typedef {object} Listeners
 * @property {Set<(event: ProgressEvent, delivery: Delivery) => void>} progress
 * @property {Set<(event: ProgressEvent, delivery: Delivery) => void>} complete
 * @property {Set<(gap: Gap) => void>} gap
 * @property {Set<(error: CTOError, jobId?: string) => void>} error
 * @property {Set<() => void>} change
 */
/**
 * What a tracker needs of its client.
 *
 * @typedef {object} TrackerContext
 * @property {() => Link | undefined} link the connection, once there is one
 * @property {import("./event-cache.js").EventCache} saved
 * @property {(room: string) => Promise<ProgressEvent[]>} newest the latest events of a room's newest jobs, oldest job first
 * @property {(rooms: readonly string[]) => void} leave leaves those of the rooms that no tracker needs
 * @property {(tracker: Tracker) => void} closed
 */
/** Follows some jobs, or all that a room shows. Made by the client's `track…`. */
export declare class Tracker {
    #private;
    room: string | undefined;
    /** @type {Promise<void>} when every job has ended; never for a room */
    done: Promise<void>;
    /** @type {CTOError | null} why its room is refused */ error: CTOError | null;
    /**
     * @param {TrackerContext} home
     * @param {string | undefined} room all of whose jobs it follows
     * @param {readonly string[]} jobIds the jobs that it follows, if not a room's
     * @param {boolean} complete whether every event counts, or only the latest of each job
     */
    constructor(home: TrackerContext, room: string | undefined, jobIds: readonly string[], complete: boolean);
    /** Every event once, in order. Returns what unsubscribes. @param {(event: ProgressEvent, delivery: Delivery) => void} listener */
    onProgress(listener: (event: ProgressEvent, delivery: Delivery) => void): () => undefined;
    /** The last event of each job, exactly once. @param {(event: ProgressEvent, delivery: Delivery) => void} listener */
    onComplete(listener: (event: ProgressEvent, delivery: Delivery) => void): () => undefined;
    /** Events are gone for good: those after `after` and before `oldestSeq`. @param {(gap: Gap) => void} listener */
    onGap(listener: (gap: Gap) => void): () => undefined;
    /** A job or room is refused. @param {(error: CTOError, jobId?: string) => void} listener */
    onError(listener: (error: CTOError, jobId?: string) => void): () => undefined;
    /** The snapshot has changed. ServerMessage at most once a frame. @param {() => void} listener */
    onChange(listener: () => void): () => undefined;
    /** All as it stands; the same object until something changes. */
    get snapshot(): Snapshot;
    /** The same of one job. @param {string} [jobId] by default the first */
    job(jobId?: string): import("./job.js").JobView | undefined;
    /** The rooms that it needs. */
    get rooms(): string[];
    /** Every event from now on, until all jobs have ended or this is closed. */
    [Symbol.asyncIterator](): AsyncGenerator<import("./types.js").ProgressEvent, void, unknown>;
    close(): void;
}
