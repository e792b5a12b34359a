/**
 * Return a transport that uses the stock Socket.IO client over one Engine.IO transport.
 *
 * @param {import("../types.js").Io} io `io` of socket.io-client
 * @param {"websocket" | "polling"} engineTransport
 * @returns {Pick<import("../types.js").Transport, "open">}
 */
export declare const socketIo: (io: import("../types.js").Io, engineTransport: "websocket" | "polling") => Pick<import("../types.js").Transport, "open">;
