/**
 * Socket.IO over one transport, by the stock client.
 *
 * @param {(url: string, options: any) => any} io socket.io-client's
 * @param {"websocket" | "polling"} transport
 * @returns {Pick<import("../types.js").Transport, "open">}
 */
export declare const socketIo: (io: (url: string, options: any) => any, transport: "websocket" | "polling") => Pick<import("../types.js").Transport, "open">;
