/**
 * Open a connection over the gateway's plain WebSocket, for pages without socket.io-client.
 *
 * @param {import("../types.js").TransportContext} context
 * @returns {Promise<import("../types.js").Session>}
 */
export declare const open: ({ url, token, emit, onClosed, signal }: import("../types.js").TransportContext) => Promise<import("../types.js").Session>;
