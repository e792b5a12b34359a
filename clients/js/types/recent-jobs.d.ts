export declare const ADMIN_ROOM = "admin_launches";
/**
 * Return the latest event of each of a room's newest jobs, including ended ones, oldest job first.
 *
 * @param {(path: string) => Promise<import("./types.js").JobsPage>} get requests a path of the gateway and resolves to the `data` of the response
 * @param {string} room
 * @returns {Promise<import("./types.js").ProgressEvent[]>}
 */
export declare function latestOfRecentJobs(get: (path: string) => Promise<import("./types.js").JobsPage>, room: string): Promise<import("./types.js").ProgressEvent[]>;
