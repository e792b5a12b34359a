import { CTOError } from "../errors.js";

const PING_MS = 10_000; // on a dead link nothing else would tell
const PATIENCE_MS = 5_000;
const NORMAL_CLOSURE = 1000;

/**
 * The gateway's plain WebSocket, for pages without socket.io-client.
 *
 * @param {import("../types.js").TransportContext} opening
 * @returns {Promise<import("../types.js").Session>}
 */
export const open = ({ url, token, tell, closed, signal }) => new Promise((resolve, reject) => {
  const query = token ? `?token=${encodeURIComponent(token)}` : "";
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws${query}`);
  /** @type {CTOError | undefined} */ let why;
  let isOpen = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let patience;
  /** @param {object} message */
  const say = (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

  /** @param {string} jobId @param {number} after */
  const resume = (jobId, after) => say({ type: "resume", jobId, after, id: { jobId } });

  /** @param {CTOError} error */
  const end = (error) => {
    clearInterval(pings);
    clearTimeout(patience);
    socket.onclose = socket.onmessage = null;
    socket.close(NORMAL_CLOSURE);
    if (isOpen) closed(error);
    else reject(error);
  };
  const pings = setInterval(() => {
    say({ type: "ping" });
    patience ??= setTimeout(() => end(new CTOError("unreachable", "the connection fell silent")), PATIENCE_MS);
  }, PING_MS);
  const close = () => {
    isOpen = false;
    end(new CTOError("closed", "closed"));
  };
  signal.addEventListener("abort", close);

  socket.onopen = () => {
    isOpen = true;
    resolve({
      join: (room) => say({ type: "join", room, id: { room } }),
      leave: (room) => say({ type: "leave", room }),
      follow: resume,
      catchUp: resume,
      refresh: (newer) => say({ type: "auth_refresh", token: newer }),
      close,
    });
  };
  socket.onmessage = ({ data }) => {
    clearTimeout(patience);
    patience = undefined;
    const said = JSON.parse(data);
    if (said.type === "worker_progress") tell("event", said.event);
    else if (said.type === "joined") tell("joined", said.room);
    else if (said.type === "resumed") tell("resumed", said.jobId, said.events);
    else if (said.type === "gap") tell("gap", said.jobId, said.oldestSeq);
    else if (said.type === "error" && said.id?.jobId && said.code === "gap") tell("gap", said.id.jobId, said.oldestSeq);
    else if (said.type === "error" && said.id) tell("refused", said.id, new CTOError(said.code, said.message));
    else if (said.type === "error") why = new CTOError(said.code, said.message);
  };
  socket.onclose = () => end(why ?? new CTOError("unreachable", "the connection was lost"));
});
