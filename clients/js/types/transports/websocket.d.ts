/**
 * The gateway's plain WebSocket, for pages without socket.io-client.
 *
 * @param {import("../types.js").TransportContext} opening
 * @returns {Promise<import("../types.js").Session>}
 */
export declare const open: ({ url, token, tell, closed, signal }: import("../types.js").TransportContext) => Promise<import("../types.js").Session>;
