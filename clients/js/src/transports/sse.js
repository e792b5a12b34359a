import { CTOError } from "../errors.js";
import { hasEnded } from "../job.js";
import * as polling from "./polling.js";

const SILENCE_MS = 15_000; // the gateway sends a comment every 7 s
const STREAMS = 4; // a browser opens six connections to one host; the others are for asking
const NO_CONTENT = 204;

/**
 * Server-Sent Events, read with `fetch`: an `EventSource` would put the token into the address, and tell nothing of
 * why it is refused. A user's room and a job have a stream each; what has none is polled.
 *
 * @param {import("../types.js").TransportContext} opening
 * @returns {Promise<import("../types.js").Session>}
 */
export async function open(opening) {
  const { rest, tell, closed, signal } = opening;
  if (typeof ReadableStream === "undefined") throw new CTOError("unreachable", "answers cannot be read as they come");
  const poller = await polling.open(opening);
  /** @type {Map<string, AbortController>} by room */ const streams = new Map();
  let isOpen = true;
  const close = () => {
    isOpen = false;
    for (const stream of streams.values()) stream.abort();
    poller.close();
  };
  signal.addEventListener("abort", close);

  /** @param {string} room @param {string} path @param {import("../types.js").Target} about */
  const follow = async (room, path, about) => {
    const stream = new AbortController();
    streams.get(room)?.abort();
    streams.set(room, stream);
    let error;
    try {
      const response = await rest.fetch("GET", path, { signal: stream.signal, headers: { Accept: "text/event-stream" } });
      if ("room" in about) { // a stream does not tell where what is open now ends, and what is new begins
        for (const event of await polling.fetchRoom(opening, room)) if (!hasEnded(event)) tell("event", event);
        tell("joined", room);
      }
      error = response.status === NO_CONTENT ? "ended" : await read(response, tell, stream);
    } catch (cause) {
      error = /** @type {CTOError} */ (cause);
    }
    if (!isOpen || streams.get(room) !== stream) return;
    streams.delete(room);
    if (error === "ended" && "jobId" in about) return;
    if (error instanceof CTOError && (error.status === 404 || error.status === 403)) {
      tell("refused", about, error);
      return;
    }
    close();
    closed(error instanceof CTOError ? error : new CTOError("unreachable", "a stream has ended"));
  };

  return {
    join: (room) => {
      const user = /^user_(.*)$/.exec(room)?.[1];
      if (user === undefined || streams.size >= STREAMS) poller.join(room);
      else void follow(room, `/api/cto/stream?userId=${encodeURIComponent(user)}`, { room });
    },
    leave: (room) => {
      streams.get(room)?.abort();
      streams.delete(room);
      poller.leave(room);
    },
    follow: (jobId, after) => {
      const room = `job_${jobId}`;
      if (streams.size >= STREAMS && !streams.has(room)) poller.follow(jobId, after);
      else void follow(room, `/api/cto/job/${jobId}/stream?after=${after}`, { jobId });
    },
    catchUp: poller.catchUp,
    refresh: () => { // a stream ends with the token that it was opened with
      close();
      closed(new CTOError("unreachable", "opened again with a newer token"));
    },
    close,
  };
}

/**
 * Read a stream to its end. Resolves to why it ended: `ended` when its last event was the last of a job.
 *
 * @param {Response} response
 * @param {import("../types.js").TransportContext["tell"]} tell
 * @param {AbortController} stream
 * @returns {Promise<CTOError | "ended" | undefined>}
 */
async function read(response, tell, stream) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let silence;
  /** @type {CTOError | "ended" | undefined} */ let why;
  let rest = "";
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      clearTimeout(silence);
      silence = setTimeout(() => stream.abort(), SILENCE_MS);
      const { done, value } = await reader.read();
      if (done) return why;
      const parts = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = /** @type {string} */ (parts.pop());
      for (const part of parts) why = take(part, tell) ?? why;
    }
  } catch {
    return why;
  } finally {
    clearTimeout(silence);
  }
}

/** @param {string} part @param {import("../types.js").TransportContext["tell"]} tell */
function take(part, tell) {
  const name = /^event: (.*)$/m.exec(part)?.[1];
  const data = JSON.parse(/^data: (.*)$/m.exec(part)?.[1] ?? "null");
  if (name === "auth_expired") return new CTOError(data.code, data.message);
  if (name === "gap") tell("gap", data.jobId, data.oldestSeq);
  if (name !== "worker_progress") return undefined;
  tell("event", data);
  return hasEnded(data) ? "ended" : undefined;
}
