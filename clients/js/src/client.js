import { CTOError } from "./errors.js";
import { ConnectionManager } from "./connection-manager.js";
import { Rest, newIdempotencyKey, withQuery } from "./rest.js";
import { ADMIN_ROOM, latestOfRecentJobs } from "./recent-jobs.js";
import { EventCache } from "./event-cache.js";
import { SharedConnection, canShare } from "./shared-connection.js";
import { Token, claimsOf } from "./token.js";
import { Tracker } from "./tracker.js";

const LEAVE_INTERVAL_MS = 200; // between two `leave` commands, because the gateway limits messages
const CHANNEL = "cto-progress 3"; // between tabs; increase the number with each format change, because tabs may run different versions
const GATEWAY = /^(?:http|ws)(s?:\/\/[^\s/?#][^\s?#]*?)\/*$/i;

/**
 * @typedef {object} Options
 * @property {string} [url] address of the gateway, `http(s)://` or `ws(s)://`; by default the page's origin
 * @property {string | (() => string | Promise<string>)} [token] a token, or a function that returns one; also called shortly before the token expires
 * @property {import("./types.js").Io} [io] `io` of socket.io-client; without it the client uses the plain WebSocket
 * @property {boolean} [tabs] whether tabs share one connection, if the browser supports it; by default true
 * @property {import("./event-cache.js").Storage | null} [storage] keeps events across a reload; by default `sessionStorage`
 * @property {readonly import("./types.js").Transport[]} [transports] the transports, the best one first
 * @property {Pick<Rest, "request" | "requestWithRetry">} [rest] sends requests in place of the gateway's REST API; `simulate` sets it
 */

/** @typedef {import("./connection-manager.js").ConnectionMessage} ConnectionMessage */
/** @typedef {{ history?: boolean }} TrackOptions `history`: true: every event; false: only each job's latest */

/**
 * Create a client of a gateway. It connects when the first job is tracked. Throws `invalid_options` if `url` is not an address, or `token` not a token.
 *
 * @param {Options} [options]
 */
export const connect = (options) => new Client(options);

/** A client of one gateway; {@link connect} creates it. */
export class Client {
  /** @type {import("./connection-manager.js").ConnectionManager | import("./shared-connection.js").SharedConnection | undefined} */ #manager;
  /** @type {Set<Tracker>} */ #trackers = new Set();
  /** @type {Set<(connection: import("./types.js").Connection) => void>} */ #listeners = new Set();
  #connection = disconnected("idle");
  #url;
  #createManager;
  #token;
  #rest;
  #transports;
  /** @type {(sub?: string) => unknown} */ #mayShare;
  #context;
  /** @type {Promise<void> | undefined} */ #starting;
  #closed = false;
  /** @type {Set<string>} rooms to leave */ #unneededRooms = new Set();
  #leftRooms = 0; // left by this tab or another one, for which no refused command was repeated yet
  #repeated = 0; // refused commands
  /** @type {ReturnType<typeof setInterval> | undefined} */ #leaveTimer;

  /** @param {Options} [options] */
  constructor({ url = globalThis.location?.origin, token, io, tabs = true, storage, transports, rest } = {}) {
    const [, address] = GATEWAY.exec(/** @type {string} */ (url)) ?? [];
    if (!address) throw new CTOError("invalid_options", `url "${url}" must be an address that begins with http(s):// or ws(s)://`);
    this.#token = new Token(token, (newToken) => this.#manager?.send("refresh", newToken));
    this.#url = `http${address}`;
    const gateway = new Rest(this.#url, this.#token);
    this.#rest = rest ?? gateway;
    this.#createManager = (/** @type {(...message: ConnectionMessage) => void} */ emit) => new ConnectionManager(this.#transports, gateway, emit);
    this.#transports = transports ?? [
      ...(io ? [overSocketIo(io, "websocket"), overSocketIo(io, "polling")] : [lazy("websocket", () => import("./transports/websocket.js"))]),
      lazy("sse", () => import("./transports/sse.js")),
      lazy("polling", () => import("./transports/polling.js")),
    ];
    this.#mayShare = (sub) => tabs && canShare() && (sub || !token);
    this.#context = {
      manager: () => this.#manager,
      cache: new EventCache(storage === undefined ? ownStorage() : storage, this.#url),
      /** @param {string} room */
      recent: (room) => latestOfRecentJobs((path) => this.#rest.requestWithRetry("GET", path), room),
      /** @param {Tracker} tracker */
      onClosed: (tracker) => {
        this.#trackers.delete(tracker);
        this.#leave(tracker.rooms);
      },
      leave: this.#leave,
    };
  }

  /**
   * Leave rooms one by one, unless a tracker needs them by then. For each room that was left, repeat one refused command.
   *
   * @param {readonly string[]} rooms
   */
  #leave = (rooms) => {
    for (const room of rooms) this.#unneededRooms.add(room);
    this.#leaveTimer ??= setInterval(() => {
      const [room] = this.#unneededRooms;
      const leaves = this.#unneededRooms.delete(room);
      if (leaves && ![...this.#trackers].some((tracker) => tracker.rooms.includes(room))) this.#manager?.send("leave", room);
      const refusals = [...this.#trackers].flatMap((tracker) => tracker.refusals);
      if (this.#leftRooms && refusals.length) {
        this.#leftRooms -= 1;
        refusals[(this.#repeated += 1) % refusals.length](); // another one each time, because responses take time
      } else if (!leaves) {
        clearInterval(this.#leaveTimer);
        this.#leaveTimer = undefined;
        this.#leftRooms &&= 1; // for a refusal that is still on its way
      }
    }, LEAVE_INTERVAL_MS);
  };

  /** The state of the connection. */
  get connection() {
    return this.#connection;
  }

  /**
   * Listen to changes of `connection`. Returns a function that unsubscribes.
   *
   * @param {(connection: import("./types.js").Connection) => void} listener
   */
  onConnection(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Track one job, or several. @param {string | readonly string[]} jobs @param {TrackOptions} [options] */
  track(jobs, { history = true } = {}) {
    return this.#track(undefined, [jobs].flat(), history);
  }

  /** Track all jobs of a user, including future ones. @param {string} userId @param {TrackOptions} [options] */
  trackUser(userId, { history = false } = {}) {
    return this.#track(`user_${userId}`, [], history);
  }

  /** Track all jobs of all users. Only for admins. @param {TrackOptions} [options] */
  trackAll({ history = false } = {}) {
    return this.#track(ADMIN_ROOM, [], history);
  }

  /**
   * Start an operation. Without a response, the request is retried for up to half a minute; the operation starts only once.
   *
   * @param {import("./types.js").OperationRequest} request
   * @param {{ idempotencyKey?: string }} [options] requests with the same key and body start one operation
   * @returns {Promise<import("./types.js").CreatedJob>}
   */
  submit(request, { idempotencyKey = newIdempotencyKey() } = {}) {
    return this.#rest.requestWithRetry("POST", "/api/cto/jobs", { body: request, headers: { "Idempotency-Key": idempotencyKey } });
  }

  /**
   * Cancel a job. This takes effect before its next transfer or buy.
   *
   * @param {string} jobId
   * @returns {Promise<import("./types.js").CancelRequested>}
   */
  cancel(jobId) {
    return this.#rest.requestWithRetry("POST", `/api/cto/job/${encodeURIComponent(jobId)}/cancel`);
  }

  /** Return a job's status and result. @param {string} jobId @returns {Promise<import("./types.js").JobStatus>} */
  status(jobId) {
    return this.#rest.request("GET", `/api/cto/job/${encodeURIComponent(jobId)}/status`);
  }

  /**
   * Return a job's events, oldest first.
   *
   * @param {string} jobId
   * @param {number} [after]
   * @returns {Promise<import("./types.js").ProgressEvent[]>}
   */
  async events(jobId, after = 0) {
    /** @type {{ events: import("./types.js").ProgressEvent[] }} */
    const { events } = await this.#rest.request("GET", `/api/cto/job/${encodeURIComponent(jobId)}/events?after=${after}`);
    return events;
  }

  /**
   * Return jobs, newest first.
   *
   * @param {import("./types.js").JobsQuery} [query]
   * @returns {Promise<import("./types.js").JobsPage>}
   */
  jobs(query = {}) {
    return this.#rest.request("GET", withQuery("/api/cto/jobs", query));
  }

  /**
   * Return the totals of all jobs that match the filters: counts by status and outcome, buys, and SOL spent.
   *
   * @param {import("./types.js").JobsFilters} [filters]
   * @returns {Promise<import("./types.js").JobsSummary>}
   */
  summary(filters = {}) {
    return this.#rest.request("GET", withQuery("/api/cto/jobs/summary", filters));
  }

  /**
   * Return how many of up to 500 jobs are queued, active, completed, failed or not found.
   *
   * @param {readonly string[]} jobIds
   * @returns {Promise<import("./types.js").JobCounts>}
   */
  stats(jobIds) {
    return this.#rest.request("GET", withQuery("/api/cto/jobs/stats", { jobIds }));
  }

  /** Connect again now, also after a refusal. */
  reconnect() {
    this.#manager?.reconnect();
  }

  close() {
    for (const tracker of [...this.#trackers]) tracker.close();
    this.#manager?.close();
    this.#token.close();
    clearInterval(this.#leaveTimer);
    this.#closed = true;
    this.#show(disconnected("closed"));
  }

  /** @param {string | undefined} room @param {readonly string[]} jobIds @param {boolean} complete */
  #track(room, jobIds, complete) {
    if (this.#closed) throw new CTOError("closed", "this client is closed: call connect() for a new one");
    this.#starting ??= this.#start();
    const tracker = new Tracker(this.#context, room, jobIds, complete);
    this.#trackers.add(tracker);
    return tracker;
  }

  /** Connect when the user is known, because only tabs of the same user share a connection. */
  async #start() {
    this.#show(disconnected("connecting"));
    const token = await this.#token.get().catch(() => undefined); // the connection manager retries
    if (this.#closed) return;
    const { sub, role } = claimsOf(token);
    const emit = (/** @type {ConnectionMessage} */ ...message) => {
      if (message[0] === "opened") this.#unneededRooms.clear(); // a new connection is in no room
      if (message[0] === "left") this.#leftRooms += 1;
      else if (message[0] === "connection") this.#show(message[1]);
      else for (const tracker of [...this.#trackers]) /** @type {any} */ (tracker)[message[0]](...message.slice(1));
      if (message[0] === "left" || message[0] === "refused") this.#leave([]); // it repeats a refused command
    };
    const name = [CHANNEL, this.#url, sub, role].join(" ");
    this.#manager = this.#mayShare(sub) ? new SharedConnection(name, this.#createManager, emit) : this.#createManager(emit);
  }

  /** @param {import("./types.js").Connection} connection */
  #show(connection) {
    this.#connection = connection;
    for (const listener of [...this.#listeners]) listener(connection);
  }
}

/** @param {NonNullable<Options["io"]>} io @param {"websocket" | "polling"} engineTransport */
const overSocketIo = (io, engineTransport) =>
  lazy(`socket.io ${engineTransport}`, async () => (await import("./transports/socketio.js")).socketIo(io, engineTransport));

/**
 * Return a transport whose module is loaded on first use, because no page needs all transports.
 *
 * @param {string} name
 * @param {() => Promise<{ open: import("./types.js").Transport["open"] }>} load
 * @returns {import("./types.js").Transport}
 */
const lazy = (name, load) => ({
  name,
  open: async (context) => (await load()).open(context),
});

/** @param {import("./types.js").Connection["state"]} state @returns {import("./types.js").Connection} */
const disconnected = (state) => ({ state, via: null, error: null });

/** Return `sessionStorage`, or null where it is missing or forbidden. */
function ownStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}
