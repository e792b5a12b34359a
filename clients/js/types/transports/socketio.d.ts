/**
 * Return a transport that uses the stock Socket.IO client over one Engine.IO transport.
 *
 * @param {(url: string, options: any) => any} io `io` of socket.io-client
 * @param {"websocket" | "polling"} engineTransport
 * @returns {Pick<import("../types.js").Transport, "open">}
 */
export declare const socketIo: (io: (url: string, options: any) => any, engineTransport: "websocket" | "polling") => Pick<import("../types.js").Transport, "open">;
