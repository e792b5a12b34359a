import { CTOError } from "../errors.js";

const PING_MS = 10_000; // a page cannot detect a dead link otherwise
const PONG_TIMEOUT_MS = 5_000;
const NORMAL_CLOSURE = 1000;

/**
 * Open a connection over the gateway's plain WebSocket, for pages without socket.io-client.
 *
 * @param {import("../types.js").TransportContext} context
 * @returns {Promise<import("../types.js").Session>}
 */
export const open = ({ url, token, emit, onClosed, signal }) => new Promise((resolve, reject) => {
  const query = token ? `?token=${encodeURIComponent(token)}` : "";
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws${query}`);
  /** @type {CTOError | undefined} */ let reason;
  let isOpen = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let pongTimer;
  /** @param {object} message */
  const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

  /** @param {string} jobId @param {number} after */
  const resume = (jobId, after) => send({ type: "resume", jobId, after, id: { jobId } });

  /** @param {CTOError} error */
  const end = (error) => {
    clearInterval(pings);
    clearTimeout(pongTimer);
    socket.onclose = socket.onmessage = null;
    socket.close(NORMAL_CLOSURE);
    if (isOpen) onClosed(error);
    else reject(error);
  };
  const pings = setInterval(() => {
    send({ type: "ping" });
    pongTimer ??= setTimeout(() => end(new CTOError("unreachable", "the gateway did not answer a ping")), PONG_TIMEOUT_MS);
  }, PING_MS);
  const close = () => {
    isOpen = false;
    end(new CTOError("closed", "closed"));
  };
  signal.addEventListener("abort", close);

  socket.onopen = () => {
    isOpen = true;
    resolve({
      join: (room) => send({ type: "join", room, id: { room } }),
      leave: (room) => send({ type: "leave", room }),
      follow: resume,
      catchUp: resume,
      refresh: (newToken) => send({ type: "auth_refresh", token: newToken }),
      close,
    });
  };
  socket.onmessage = ({ data }) => {
    clearTimeout(pongTimer);
    pongTimer = undefined;
    const message = JSON.parse(data);
    if (message.type === "worker_progress") emit("event", message.event);
    else if (message.type === "joined") emit("joined", message.room);
    else if (message.type === "resumed") emit("resumed", message.jobId, message.events);
    else if (message.type === "gap") emit("gap", message.jobId, message.oldestSeq);
    else if (message.type === "error" && message.id?.jobId && message.code === "gap") emit("gap", message.id.jobId, message.oldestSeq);
    else if (message.type === "error" && message.id) emit("refused", message.id, new CTOError(message.code, message.message));
    else if (message.type === "error") reason = new CTOError(message.code, message.message);
  };
  socket.onclose = () => end(reason ?? new CTOError("unreachable", "the connection was lost"));
});
