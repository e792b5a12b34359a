export type ProgressEvent = import("./types.js").ProgressEvent;
export type CTOError = import("./errors.js").CTOError;
export type Delivery = import("./listeners.js").Delivery;
export type Gap = import("./listeners.js").Gap;
export type JobView = import("./job.js").JobView;
export type CommandSender = {
    isOpen: boolean;
    send: (...command: import("./types.js").ClientCommand) => void;
};
export type Snapshot = {
    jobs: readonly JobView[];
    error: CTOError | null;
};
export type TrackerContext = {
    /**
     * the connection manager; undefined until it is created
     */
    manager: () => CommandSender | undefined;
    cache: import("./event-cache.js").EventCache;
    /**
     * returns the latest events of a room's newest jobs, oldest job first
     */
    recent: (room: string) => Promise<ProgressEvent[]>;
    /**
     * leaves the rooms that no tracker needs
     */
    leave: (rooms: readonly string[]) => void;
    onClosed: (tracker: Tracker) => void;
};
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./errors.js").CTOError} CTOError */
/** @typedef {import("./listeners.js").Delivery} Delivery */
/** @typedef {import("./listeners.js").Gap} Gap */
/** @typedef {import("./job.js").JobView} JobView */
/** @typedef {{ isOpen: boolean, send: (...command: import("./types.js").ClientCommand) => void }} CommandSender */
/** @typedef {{ jobs: readonly JobView[], error: CTOError | null }} Snapshot `error`: why the room was refused */
/**
 * The parts of a client that a tracker uses.
 *
 * @typedef {object} TrackerContext
 * @property {() => CommandSender | undefined} manager the connection manager; undefined until it is created
 * @property {import("./event-cache.js").EventCache} cache
 * @property {(room: string) => Promise<ProgressEvent[]>} recent returns the latest events of a room's newest jobs, oldest job first
 * @property {(rooms: readonly string[]) => void} leave leaves the rooms that no tracker needs
 * @property {(tracker: Tracker) => void} onClosed
 */
/** Tracks some jobs, or all jobs of a room. The client's `track…` methods create it. */
export declare class Tracker {
    #private;
    room: string | undefined;
    /** @type {Promise<void>} resolves when every job has ended, or the tracker is closed */
    done: Promise<void>;
    /** @type {CTOError | null} why the room was refused */ error: CTOError | null;
    /**
     * @param {TrackerContext} context
     * @param {string | undefined} room the room whose jobs it tracks
     * @param {readonly string[]} jobIds the jobs that it tracks, if there is no room
     * @param {boolean} complete whether to track every event, or only the latest of each job
     */
    constructor(context: TrackerContext, room: string | undefined, jobIds: readonly string[], complete: boolean);
    /**
     * Listen to every event: once each, in order. Like all `on…` methods, it returns a function that unsubscribes.
     *
     * @param {(event: ProgressEvent, delivery: Delivery) => void} listener
     */
    onProgress(listener: (event: ProgressEvent, delivery: Delivery) => void): () => undefined;
    /** Listen to the last event of each job: exactly once per job. @param {(event: ProgressEvent, delivery: Delivery) => void} listener */
    onComplete(listener: (event: ProgressEvent, delivery: Delivery) => void): () => undefined;
    /** Listen to gaps: events that expired before they were received. @param {(gap: Gap) => void} listener */
    onGap(listener: (gap: Gap) => void): () => undefined;
    /** Listen to refusals of a job or room. @param {(error: CTOError, jobId?: string) => void} listener */
    onError(listener: (error: CTOError, jobId?: string) => void): () => undefined;
    /** Listen to changes of the snapshot: at most one call per frame. @param {() => void} listener */
    onChange(listener: () => void): () => undefined;
    /** The current state of all jobs. The object stays the same until something changes. */
    get snapshot(): Snapshot;
    /** Return the current state of one job. @param {string} [jobId] by default the first job */
    job(jobId?: string): import("./job.js").JobView | undefined;
    /** The rooms that this tracker needs. */
    get rooms(): string[];
    /** Iterate over every event from now on, until all jobs have ended or the tracker is closed. */
    [Symbol.asyncIterator](): AsyncGenerator<{
        workerType: "cto_operation";
        totalPhases: 5;
        jobId: string;
        seq: number;
        attempt: number;
        tokenAddress: string;
        userId: string;
        userChatId: number;
        phase: number;
        phaseTitle: string;
        phaseDescription: string;
        progress: number;
        status: "completed" | "failed" | "in_progress" | "started";
        timestamp: number;
        mode: "prefunded" | "standard";
        platform: string;
        buyAmount: number;
        socketUserId?: string;
        details?: import("../declarations/openapi.js").components["schemas"]["Details"];
    }, void, unknown>;
    close(): void;
}
