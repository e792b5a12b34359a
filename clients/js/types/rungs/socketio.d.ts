/**
 * Socket.IO over one transport, by the stock client.
 *
 * @param {(url: string, options: any) => any} io socket.io-client's
 * @param {"websocket" | "polling"} transport
 * @returns {import("../types.js").Rung}
 */
export declare const socketIo: (io: (url: string, options: any) => any, transport: "websocket" | "polling") => import("../types.js").Rung;
