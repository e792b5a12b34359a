import { CTOError } from "../errors.js";

/**
 * Return a transport that uses the stock Socket.IO client over one Engine.IO transport.
 *
 * @param {import("../types.js").Io} io `io` of socket.io-client
 * @param {"websocket" | "polling"} engineTransport
 * @returns {Pick<import("../types.js").Transport, "open">}
 */
export const socketIo = (io, engineTransport) => ({
  open: ({ url, token, emit, onClosed, signal }) => new Promise((resolve, reject) => {
    // The connection manager chooses the transport and reconnects.
    const socket = io(url, { auth: { token }, transports: [engineTransport], upgrade: false, reconnection: false, forceNew: true });
    /** @type {CTOError | undefined} */ let reason;
    const close = () => {
      socket.off();
      socket.disconnect();
    };
    signal.addEventListener("abort", close);

    /** @param {string} name @param {unknown} payload @param {import("../types.js").Target} target @param {(ack: any) => void} onSuccess */
    const request = (name, payload, target, onSuccess) => socket.emit(name, payload, (/** @type {any} */ ack) => {
      if (ack.success) onSuccess(ack);
      else if (ack.error.code === "gap" && "jobId" in target) emit("gap", target.jobId, ack.oldestSeq);
      else emit("refused", target, new CTOError(ack.error.code, ack.error.message));
    });

    /** @param {string} jobId @param {number} after */
    const resume = (jobId, after) =>
      request("resume", { jobId, after }, { jobId }, (ack) => emit("resumed", jobId, ack.events));

    socket.on("worker_progress", (/** @type {any} */ event) => emit("event", event));
    socket.on("gap", (/** @type {any} */ { jobId, oldestSeq }) => emit("gap", jobId, oldestSeq));
    socket.on("auth_expired", (/** @type {any} */ { code, message }) => { reason = new CTOError(code, message); });
    socket.on("disconnect", (/** @type {string} */ cause) => {
      close();
      onClosed(reason ?? new CTOError("unreachable", cause));
    });
    socket.on("connect_error", (/** @type {any} */ error) => {
      close();
      reject(new CTOError(error.data?.code ?? "unreachable", error.message));
    });
    socket.on("connect", () => resolve({
      join: (room) => request("join_room", room, { room }, () => emit("joined", room)),
      leave: (room) => socket.emit("leave_room", room),
      follow: resume,
      catchUp: resume,
      refresh: (newToken) => socket.emit("auth_refresh", { token: newToken }),
      close,
    }));
  }),
});
