export type Source = {
    room: string;
    path: string;
    target: import("../types.js").Target;
};
/** @typedef {{ room: string, path: string, target: import("../types.js").Target }} Source a stream of the gateway */
/**
 * Open a connection over Server-Sent Events. It reads them with `fetch`, because an `EventSource` would put the token into
 * the URL and hide the reason of a refusal. A user's room and a job have a stream each; everything else is polled. Before
 * it replaces a working connection, it opens one stream, because only a stream reaches the gateway's limit of connections.
 *
 * @param {import("../types.js").TransportContext} context
 * @returns {Promise<import("../types.js").Session>}
 */
export declare function open(context: import("../types.js").TransportContext): Promise<import("../types.js").Session>;
