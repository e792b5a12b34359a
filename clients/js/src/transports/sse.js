import { CTOError, isLimit } from "../errors.js";
import { hasEnded } from "../job.js";
import * as polling from "./polling.js";

const SILENCE_MS = 15_000; // the gateway sends a comment every 7 s
const MAX_STREAMS = 4; // a browser opens six connections to one host; the other two are for requests
const CLAIM_MS = 3_000; // in this time the commands are repeated
const NO_CONTENT = 204;

/** @typedef {{ room: string, path: string, target: import("../types.js").Target }} Source a stream of the gateway */

/**
 * Open a connection over Server-Sent Events. It reads them with `fetch`, because an `EventSource` would put the token into
 * the URL and hide the reason of a refusal. A user's room and a job have a stream each; everything else is polled. Before
 * it replaces a working connection, it opens one stream, because only a stream reaches the gateway's limit of connections.
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

  /** @param {Source} source */
  const request = ({ room, path }) => {
    const stream = new AbortController();
    streams.get(room)?.abort();
    streams.set(room, stream);
    return { room, stream, response: rest.fetch("GET", path, { signal: stream.signal, headers: { Accept: "text/event-stream" } }) };
  };

  /** Open the stream of a subscription. Rejects if the gateway accepts no stream. @param {Source | undefined} source */
  const openFirst = async (source) => {
    if (!source) return undefined;
    const first = request(source);
    try {
      await first.response;
      return first;
    } catch (cause) {
      streams.delete(source.room);
      if (isDenied(cause)) return undefined; // its subscription is refused later
      close();
      throw cause;
    }
  };
  let first = await openFirst(context.current?.subscriptions?.().map(sourceOf).find(Boolean));

  /** @param {Source} source @param {() => void} poll */
  const follow = async (source, poll) => {
    const { target } = source;
    const { room, stream, response: requested } = first?.room === source.room ? first : request(source);
    if (stream === first?.stream) first = undefined;
    let result;
    try {
      const response = await requested;
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
    if (isDenied(result)) {
      emit("refused", target, /** @type {CTOError} */ (result));
    } else if (result instanceof CTOError && isLimit(result) && streams.size) {
      poll();
    } else {
      close();
      onClosed(result instanceof CTOError ? result : new CTOError("unreachable", "an event stream has ended"));
    }
  };

  /** @param {import("../types.js").Subscription} subscription */
  const subscribe = (...subscription) => {
    const [name, target, after] = subscription;
    const poll = () => poller[name](target, /** @type {number} */ (after));
    const source = sourceOf(subscription);
    if (source && (streams.size < MAX_STREAMS || streams.has(source.room))) void follow(source, poll);
    else poll();
  };

  /** @param {string} room */
  const leave = (room) => {
    if (first?.room === room) first = undefined;
    streams.get(room)?.abort();
    streams.delete(room);
    poller.leave(room);
  };
  if (first) setTimeout(() => { if (first) leave(first.room); }, CLAIM_MS);

  return {
    join: (room) => subscribe("join", room),
    leave,
    follow: (jobId, after) => subscribe("follow", jobId, after),
    catchUp: poller.catchUp,
    refresh: () => { // a stream ends when the token that opened it expires
      close();
      onClosed(new CTOError("unreachable", "the connection was closed to use a new token"));
    },
    close,
  };
}

/** Return the stream of a subscription, or undefined if it has none. @param {import("../types.js").Subscription} subscription */
function sourceOf([name, target, after]) {
  if (name === "follow") return { room: `job_${target}`, path: `/api/cto/job/${encodeURIComponent(target)}/stream?after=${after}`, target: { jobId: target } };
  const user = /^user_(.*)$/.exec(target)?.[1];
  return user === undefined ? undefined : { room: target, path: `/api/cto/stream?userId=${encodeURIComponent(user)}`, target: { room: target } };
}

/** Return whether a room or job was refused, and not the connection. @param {unknown} error */
const isDenied = (error) => error instanceof CTOError && (error.status === 404 || error.status === 403);

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
