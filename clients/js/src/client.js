import { CTOError } from "./errors.js";
import { ConnectionManager } from "./connection-manager.js";
import { Rest } from "./rest.js";
import { ADMIN_ROOM, latestOfRecentJobs } from "./recent-jobs.js";
import { EventCache } from "./event-cache.js";
import { SharedConnection, canShare } from "./shared-connection.js";
import { Token, claimsOf } from "./token.js";
import { Tracker } from "./tracker.js";

const LEAVE_MS = 200; // between two rooms: the gateway limits messages, and many jobs may end at once
const GATEWAY = /^(?:http|ws)(s?:\/\/[^\s/?#][^\s?#]*?)\/*$/i;

/**
 * @typedef {object} Options
 * @property {string} [url] the gateway's, `http(s)://` or `ws(s)://`; by default the page's own origin
 * @property {string | (() => string | Promise<string>)} [token] a token, or what gets one: it is asked again before that ends
 * @property {(url: string, options: any) => any} [io] socket.io-client's; without it the plain WebSocket is used
 * @property {boolean} [tabs] whether tabs share one connection; by default they do where they can
 * @property {import("./event-cache.js").Storage | null} [storage] what outlives a reload; by default `sessionStorage`
 * @property {readonly import("./types.js").Transport[]} [transports] the ways to connect, the best first
 * @property {Pick<Rest, "request" | "requestWithRetry">} [rest] what asks the gateway; given by `simulate`
 */

/** @typedef {{ history?: boolean }} TrackOptions `history`: every event, or only the latest of each job */

/**
 * Connect to a gateway. Nothing is opened before something is tracked. Throws `invalid_options` when `url` is no address.
 *
 * @param {Options} [options]
 */
export const connect = (options) => new Client(options);

/** What {@link connect} returns. */
export class Client {
  /** @type {import("./connection-manager.js").ConnectionManager | import("./shared-connection.js").SharedConnection | undefined} */ #link;
  /** @type {Set<Tracker>} */ #trackers = new Set();
  /** @type {Set<(connection: import("./types.js").Connection) => void>} */ #listeners = new Set();
  #connection = connectionless("idle");
  #url;
  #createManager;
  #token;
  #rest;
  #transports;
  /** @type {(sub?: string) => unknown} */ #mayShare;
  #home;
  /** @type {Promise<void> | undefined} */ #starting;
  #closed = false;
  /** @type {Set<string>} rooms to leave */ #unneeded = new Set();
  /** @type {any} a timer, while there are any */ #leaving;

  /** @param {Options} [options] */
  constructor({ url = globalThis.location?.origin, token, io, tabs = true, storage, transports, rest } = {}) {
    const [, address] = GATEWAY.exec(/** @type {string} */ (url)) ?? [];
    if (!address) throw new CTOError("invalid_options", `url is "${url}": give one with http(s):// or ws(s)://`);
    this.#token = new Token(token, (newer) => this.#link?.ask("refresh", newer));
    this.#url = `http${address}`;
    const own = new Rest(this.#url, this.#token);
    this.#rest = rest ?? own;
    this.#createManager = (/** @type {(...told: import("./connection-manager.js").LinkMessage) => void} */ tell) => new ConnectionManager(this.#transports, own, tell);
    this.#transports = transports ?? [
      ...(io ? [overSocketIo(io, "websocket"), overSocketIo(io, "polling")] : [later("websocket", () => import("./transports/websocket.js"))]),
      later("sse", () => import("./transports/sse.js")),
      later("polling", () => import("./transports/polling.js")),
    ];
    this.#mayShare = (sub) => tabs && canShare() && (sub || !token);
    this.#home = {
      link: () => this.#link,
      saved: new EventCache(storage === undefined ? ownStorage() : storage, this.#url),
      /** @param {string} room */
      newest: (room) => latestOfRecentJobs((path) => this.#rest.requestWithRetry("GET", path), room),
      /** @param {Tracker} tracker */
      closed: (tracker) => {
        this.#trackers.delete(tracker);
        this.#leave(tracker.rooms);
      },
      leave: this.#leave,
    };
  }

  /** Leave rooms, those that are still not needed when it is their turn. @param {readonly string[]} rooms */
  #leave = (rooms) => {
    for (const room of rooms) this.#unneeded.add(room);
    this.#leaving ??= setInterval(() => {
      const [room] = this.#unneeded;
      if (!this.#unneeded.delete(room)) this.#leaving = clearInterval(this.#leaving);
      else if (![...this.#trackers].some((tracker) => tracker.rooms.includes(room))) {
        this.#link?.ask("leave", room);
        [...this.#trackers].some((tracker) => tracker.retry());
      }
    }, LEAVE_MS);
  };

  /** How it is connected. */
  get connection() {
    return this.#connection;
  }

  /** ServerMessage whenever that changes. Returns what unsubscribes. @param {(connection: import("./types.js").Connection) => void} listener */
  onConnection(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Follow one job, or several. @param {string | readonly string[]} jobs @param {TrackOptions} [following] */
  track(jobs, { history = true } = {}) {
    return this.#track(undefined, [jobs].flat(), history);
  }

  /** Follow all jobs of a user, those to come too. @param {string} userId @param {TrackOptions} [following] */
  trackUser(userId, { history = false } = {}) {
    return this.#track(`user_${userId}`, [], history);
  }

  /** Follow every job there is: for admins. @param {TrackOptions} [following] */
  trackAll({ history = false } = {}) {
    return this.#track(ADMIN_ROOM, [], history);
  }

  /**
   * Start an operation. ClientCommand again for up to half a minute while nothing answers; it still starts once.
   *
   * @param {import("./types.js").OperationRequest} request
   * @param {{ idempotencyKey?: string }} [options] the same key and request start the same operation
   * @returns {Promise<{ jobId: string, status: string, statusUrl: string }>}
   */
  submit(request, { idempotencyKey = globalThis.crypto?.randomUUID?.() ?? Date.now() + Math.random().toString(36) } = {}) {
    return this.#rest.requestWithRetry("POST", "/api/cto/jobs", { body: request, headers: { "Idempotency-Key": idempotencyKey } });
  }

  /** Cancel a job: takes effect before its next transfer or buy. @param {string} jobId @returns {Promise<any>} */
  cancel(jobId) {
    return this.#rest.requestWithRetry("POST", `/api/cto/job/${encodeURIComponent(jobId)}/cancel`);
  }

  /** A job's status page, with its result. @param {string} jobId @returns {Promise<any>} */
  status(jobId) {
    return this.#rest.request("GET", `/api/cto/job/${encodeURIComponent(jobId)}/status`);
  }

  /**
   * A job's history, oldest first.
   *
   * @param {string} jobId
   * @param {number} [after]
   * @returns {Promise<import("./types.js").ProgressEvent[]>}
   */
  async events(jobId, after = 0) {
    return (await this.#rest.request("GET", `/api/cto/job/${encodeURIComponent(jobId)}/events?after=${after}`)).events;
  }

  /**
   * Jobs, newest first.
   *
   * @param {{ status?: string, limit?: number, cursor?: string | null, userId?: string }} [query]
   * @returns {Promise<{ jobs: any[], nextCursor: string | null }>}
   */
  jobs(query = {}) {
    const given = /** @type {[string, string][]} */ (Object.entries(query).filter(([, value]) => value));
    return this.#rest.request("GET", `/api/cto/jobs?${new URLSearchParams(given)}`);
  }

  /** Counts of up to 500 jobs, by the gateway. @param {readonly string[]} jobIds @returns {Promise<any>} */
  stats(jobIds) {
    return this.#rest.request("GET", `/api/cto/jobs/stats?jobIds=${jobIds.map(encodeURIComponent).join(",")}`);
  }

  /** Try again now, also after a refusal. */
  reconnect() {
    this.#link?.reconnect();
  }

  close() {
    for (const tracker of [...this.#trackers]) tracker.close();
    this.#link?.close();
    this.#token.close();
    clearInterval(this.#leaving);
    this.#closed = true;
    this.#show(connectionless("closed"));
  }

  /** @param {string | undefined} room @param {readonly string[]} jobIds @param {boolean} complete */
  #track(room, jobIds, complete) {
    if (this.#closed) throw new CTOError("closed", "connect another client");
    this.#starting ??= this.#start();
    const tracker = new Tracker(this.#home, room, jobIds, complete);
    this.#trackers.add(tracker);
    return tracker;
  }

  /** Connect, once it is known as whom: only tabs of the same user share. */
  async #start() {
    const token = await this.#token.get().catch(() => undefined); // the connection manager will try again
    if (this.#closed) return;
    const { sub, role } = claimsOf(token);
    const tell = (/** @type {import("./connection-manager.js").LinkMessage} */ ...told) => {
      if (told[0] === "opened") this.#unneeded.clear(); // a new connection is in no room
      if (told[0] === "connection") this.#show(told[1]);
      else for (const tracker of [...this.#trackers]) /** @type {any} */ (tracker)[told[0]](...told.slice(1));
    };
    this.#link = this.#mayShare(sub) ? new SharedConnection(["cto-progress", this.#url, sub, role].join(" "), this.#createManager, tell) : this.#createManager(tell);
  }

  /** @param {import("./types.js").Connection} connection */
  #show(connection) {
    this.#connection = connection;
    for (const listener of [...this.#listeners]) listener(connection);
  }
}

/** @param {NonNullable<Options["io"]>} io @param {"websocket" | "polling"} transport */
const overSocketIo = (io, transport) =>
  later(`socket.io ${transport}`, async () => (await import("./transports/socketio.js")).socketIo(io, transport));

/**
 * A transport that is loaded when it is needed: no page needs all of them.
 *
 * @param {string} name
 * @param {() => Promise<{ open: import("./types.js").Transport["open"] }>} load
 * @returns {import("./types.js").Transport}
 */
const later = (name, load) => ({
  name,
  open: async (opening) => (await load()).open(opening),
});

/** @param {import("./types.js").Connection["state"]} state @returns {import("./types.js").Connection} */
const connectionless = (state) => ({ state, via: null, error: null });

/** `sessionStorage`, where pages have one and may use it. */
function ownStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}
