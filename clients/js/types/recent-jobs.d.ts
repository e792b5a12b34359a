export declare const ADMIN_ROOM = "admin_launches";
/**
 * The latest event of each of a room's newest jobs, ended ones too, oldest first.
 *
 * @param {(path: string) => Promise<any>} get asks the gateway, and gives the `data` of its answer
 * @param {string} room
 * @returns {Promise<import("./types.js").ProgressEvent[]>}
 */
export declare function latestOfRecentJobs(get: (path: string) => Promise<any>, room: string): Promise<import("./types.js").ProgressEvent[]>;
