import { CTOError } from "../errors.js";

/**
 * Socket.IO over one transport, by the stock client.
 *
 * @param {(url: string, options: any) => any} io socket.io-client's
 * @param {"websocket" | "polling"} transport
 * @returns {Pick<import("../types.js").Transport, "open">}
 */
export const socketIo = (io, transport) => ({
  open: ({ url, token, tell, closed, signal }) => new Promise((resolve, reject) => {
    // Which transport to use, and when to try again, is the connection manager's business.
    const socket = io(url, { auth: { token }, transports: [transport], upgrade: false, reconnection: false, forceNew: true });
    /** @type {CTOError | undefined} */ let why;
    const close = () => {
      socket.off();
      socket.disconnect();
    };
    signal.addEventListener("abort", close);

    /** @param {string} name @param {unknown} said @param {import("../types.js").Target} about @param {(answer: any) => void} done */
    const ask = (name, said, about, done) => socket.emit(name, said, (/** @type {any} */ answer) => {
      if (answer.success) done(answer);
      else if (answer.error.code === "gap" && "jobId" in about) tell("gap", about.jobId, answer.oldestSeq);
      else tell("refused", about, new CTOError(answer.error.code, answer.error.message));
    });

    /** @param {string} jobId @param {number} after */
    const resume = (jobId, after) =>
      ask("resume", { jobId, after }, { jobId }, (answer) => tell("resumed", jobId, answer.events));

    socket.on("worker_progress", (/** @type {any} */ event) => tell("event", event));
    socket.on("gap", (/** @type {any} */ { jobId, oldestSeq }) => tell("gap", jobId, oldestSeq));
    socket.on("auth_expired", (/** @type {any} */ { code, message }) => { why = new CTOError(code, message); });
    socket.on("disconnect", (/** @type {string} */ reason) => {
      close();
      closed(why ?? new CTOError("unreachable", reason));
    });
    socket.on("connect_error", (/** @type {any} */ error) => {
      close();
      reject(new CTOError(error.data?.code ?? "unreachable", error.message));
    });
    socket.on("connect", () => resolve({
      join: (room) => ask("join_room", room, { room }, () => tell("joined", room)),
      leave: (room) => socket.emit("leave_room", room),
      follow: resume,
      catchUp: resume,
      refresh: (newer) => socket.emit("auth_refresh", { token: newer }),
      close,
    }));
  }),
});
