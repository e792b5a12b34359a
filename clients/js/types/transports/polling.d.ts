/**
 * RequestOptions again and again, where nothing else gets through.
 *
 * @param {import("../types.js").TransportContext} opening
 * @returns {Promise<import("../types.js").Session>}
 */
export declare function open(opening: import("../types.js").TransportContext): Promise<import("../types.js").Session>;
/**
 * Tell what comes after a seq, as far as it has come.
 *
 * @param {Pick<import("../types.js").TransportContext, "rest" | "tell" | "signal">} opening
 * @param {string} jobId
 * @param {number} after
 * @returns {Promise<import("../types.js").ProgressEvent[]>}
 */
export declare function fetchJob({ rest, tell, signal }: Pick<import("../types.js").TransportContext, "rest" | "tell" | "signal">, jobId: string, after: number): Promise<import("../types.js").ProgressEvent[]>;
/**
 * See {@link latestOfRecentJobs}. Rejects with `forbidden` as a socket does: a user who lists everybody's jobs gets their own.
 *
 * @param {Pick<import("../types.js").TransportContext, "rest" | "signal">} opening
 * @param {string} room
 */
export declare function fetchRoom({ rest, signal }: Pick<import("../types.js").TransportContext, "rest" | "signal">, room: string): Promise<import("../types.js").ProgressEvent[]>;
