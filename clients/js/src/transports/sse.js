import { CTOError } from "../errors.js";
import { hasEnded } from "../job.js";
import * as polling from "./polling.js";

const SILENCE_MS = 15_000; // the gateway sends a comment every 7 s
const MAX_STREAMS = 4; // a browser opens six connections to one host; the other two are for requests
const NO_CONTENT = 204;

/**
 * Open a connection over Server-Sent Events. It reads them with `fetch`, because an `EventSource` would put the token into
 * the URL and hide the reason of a refusal. A user's room and a job have a stream each; everything else is polled.
 *
 * @param {import("../types.js").TransportContext} context
 * @returns {Promise<import("../types.js").Session>}
 */
export async function open(context) {
  const { rest, emit, onClosed, signal } = context;
  if (typeof ReadableStream === "undefined") throw new CTOError("unreachable", "this platform cannot read a streamed response");
  const poller = await polling.open(context);
  /** @type {Map<string, AbortController>} by room */ const streams = new Map();
  let isOpen = true;
  const close = () => {
    isOpen = false;
    for (const stream of streams.values()) stream.abort();
    poller.close();
  };
  signal.addEventListener("abort", close);

  /** @param {string} room @param {string} path @param {import("../types.js").Target} target */
  const follow = async (room, path, target) => {
    const stream = new AbortController();
    streams.get(room)?.abort();
    streams.set(room, stream);
    let result;
    try {
      const response = await rest.fetch("GET", path, { signal: stream.signal, headers: { Accept: "text/event-stream" } });
      if ("room" in target) { // a stream does not mark the end of the initial events
        for (const event of await polling.fetchRoom(context, room)) if (!hasEnded(event)) emit("event", event);
        emit("joined", room);
      }
      result = response.status === NO_CONTENT ? "ended" : await read(response, emit, stream);
    } catch (cause) {
      result = /** @type {CTOError} */ (cause);
    }
    if (!isOpen || streams.get(room) !== stream) return;
    streams.delete(room);
    if (result === "ended" && "jobId" in target) return;
    if (result instanceof CTOError && (result.status === 404 || result.status === 403)) {
      emit("refused", target, result);
      return;
    }
    close();
    onClosed(result instanceof CTOError ? result : new CTOError("unreachable", "an event stream has ended"));
  };

  return {
    join: (room) => {
      const user = /^user_(.*)$/.exec(room)?.[1];
      if (user === undefined || streams.size >= MAX_STREAMS) poller.join(room);
      else void follow(room, `/api/cto/stream?userId=${encodeURIComponent(user)}`, { room });
    },
    leave: (room) => {
      streams.get(room)?.abort();
      streams.delete(room);
      poller.leave(room);
    },
    follow: (jobId, after) => {
      const room = `job_${jobId}`;
      if (streams.size >= MAX_STREAMS && !streams.has(room)) poller.follow(jobId, after);
      else void follow(room, `/api/cto/job/${jobId}/stream?after=${after}`, { jobId });
    },
    catchUp: poller.catchUp,
    refresh: () => { // a stream ends when the token that opened it expires
      close();
      onClosed(new CTOError("unreachable", "the connection was closed to use a new token"));
    },
    close,
  };
}

/**
 * Read a stream to its end. Resolves to the reason of the end: `ended` if the last event was the last of a job.
 *
 * @param {Response} response
 * @param {import("../types.js").TransportContext["emit"]} emit
 * @param {AbortController} stream
 * @returns {Promise<CTOError | "ended" | undefined>}
 */
async function read(response, emit, stream) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let silenceTimer;
  /** @type {CTOError | "ended" | undefined} */ let reason;
  let unparsed = "";
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      clearTimeout(silenceTimer);
      silenceTimer = setTimeout(() => stream.abort(), SILENCE_MS);
      const { done, value } = await reader.read();
      if (done) return reason;
      const messages = (unparsed + decoder.decode(value, { stream: true })).split("\n\n");
      unparsed = /** @type {string} */ (messages.pop());
      for (const message of messages) reason = handle(message, emit) ?? reason;
    }
  } catch {
    return reason;
  } finally {
    clearTimeout(silenceTimer);
  }
}

/**
 * Emit a message of a stream. Returns a reason if the message ends the stream.
 *
 * @param {string} message
 * @param {import("../types.js").TransportContext["emit"]} emit
 */
function handle(message, emit) {
  const name = /^event: (.*)$/m.exec(message)?.[1];
  const data = JSON.parse(/^data: (.*)$/m.exec(message)?.[1] ?? "null");
  if (name === "auth_expired") return new CTOError(data.code, data.message);
  if (name === "gap") emit("gap", data.jobId, data.oldestSeq);
  if (name !== "worker_progress") return undefined;
  emit("event", data);
  return hasEnded(data) ? "ended" : undefined;
}
