/**
 * Server-Sent Events, read with `fetch`: an `EventSource` would put the token into the address, and tell nothing of
 * why it is refused. A user's room and a job have a stream each; what has none is polled.
 *
 * @param {import("../types.js").TransportContext} opening
 * @returns {Promise<import("../types.js").Session>}
 */
export declare function open(opening: import("../types.js").TransportContext): Promise<import("../types.js").Session>;
