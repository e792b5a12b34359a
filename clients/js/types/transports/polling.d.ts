/**
 * Open a polling connection: it requests rooms and jobs from the REST API at intervals.
 *
 * @param {import("../types.js").TransportContext} context
 * @returns {Promise<import("../types.js").Session>}
 */
export declare function open(context: import("../types.js").TransportContext): Promise<import("../types.js").Session>;
/**
 * Request and emit the events of a job after a seq. Returns them.
 *
 * @param {Pick<import("../types.js").TransportContext, "rest" | "emit" | "signal">} context
 * @param {string} jobId
 * @param {number} after
 * @returns {Promise<import("../types.js").ProgressEvent[]>}
 */
export declare function fetchJob({ rest, emit, signal }: Pick<import("../types.js").TransportContext, "rest" | "emit" | "signal">, jobId: string, after: number): Promise<import("../types.js").ProgressEvent[]>;
/**
 * See {@link latestOfRecentJobs}. Rejects with `forbidden` as a socket does: REST would return a user's own jobs instead.
 *
 * @param {Pick<import("../types.js").TransportContext, "rest" | "signal">} context
 * @param {string} room
 */
export declare function fetchRoom({ rest, signal }: Pick<import("../types.js").TransportContext, "rest" | "signal">, room: string): Promise<{
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
    details?: import("../../declarations/openapi.js").components["schemas"]["Details"];
}[]>;
