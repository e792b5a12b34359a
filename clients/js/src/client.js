import { CTOError } from "./errors.js";
import { Ladder } from "./ladder.js";
import { Rest } from "./rest.js";
import { socketIo } from "./rungs/socketio.js";
import { Saved } from "./saved.js";
import { Tabs, canShare } from "./tabs.js";
import { Token, claimsOf } from "./token.js";
import { Tracker } from "./tracker.js";

/**
 * @typedef {object} Options
 * @property {string} [url] the gateway's; by default the page's own origin
 * @property {string | (() => string | Promise<string>)} [token] a token, or what gets one: it is asked again before that ends
 * @property {(url: string, options: any) => any} [io] socket.io-client's; without it the plain WebSocket is used
 * @property {boolean} [tabs] whether tabs share one connection; by default they do where they can
 * @property {import("./saved.js").Storage | null} [storage] what outlives a reload; by default `sessionStorage`
 * @property {readonly import("./types.js").Rung[]} [rungs] the ways to connect, the best first
 * @property {Pick<Rest, "request" | "insist">} [rest] what asks the gateway; given by `simulate`
 */

/** @typedef {{ history?: boolean }} Following `history`: every event, or only the latest of each job */

/**
 * Connect to a gateway. Nothing is opened before something is tracked.
 *
 * @param {Options} [options]
 */
export const connect = (options) => new Client(options);

const RETRY_MS = 5_000;

/** What {@link connect} returns. */
export class Client {
  /** @type {import("./ladder.js").Ladder | import("./tabs.js").Tabs | undefined} */ #link;
  /** @type {Set<Tracker>} */ #trackers = new Set();
  /** @type {Set<(connection: import("./types.js").Connection) => void>} */ #listeners = new Set();
  /** @type {import("./types.js").Connection} */ #connection = { state: "idle", via: null, error: null };
  #own = (/** @type {string} */ _) => {};
  #url;
  #climb;
  #token;
  #rest;
  #rungs;
  #shared;
  #saved;
  #owner; // whose connection it is
  #wake = () => {};
  #starting = false;
  #closed = false;
  #proxy;

  /** @param {Options} [options] */
  constructor({ url = globalThis.location?.origin, token, io, tabs = true, storage, rungs, rest } = {}) {
    if (!url) throw new CTOError("invalid_options", "say where the gateway is: connect({ url: \"https://…\" })");
    this.#token = new Token(token, (newer) => this.#link?.refresh(newer));
    this.#url = url.replace(/\/+$/, "");
    const own = new Rest(this.#url, this.#token);
    this.#rest = rest ?? own;
    this.#climb = (/** @type {import("./ladder.js").LinkHandlers} */ on) => new Ladder(this.#rungs, this.#url, own, on);
    this.#rungs = rungs ?? [
      ...(io ? [socketIo(io, "websocket"), socketIo(io, "polling")]
        : [later("websocket", () => import("./rungs/websocket.js"))]),
      later("sse", () => import("./rungs/sse.js")),
      later("polling", () => import("./rungs/polling.js")),
    ];
    this.#shared = tabs && canShare();
    const client = this;
    this.#proxy = { // trackers may come before the connection
      get isOpen() { return client.#link?.isOpen ?? false; },
      /** @param {string} room */
      join: (room) => this.#link?.join(room),
      /** @param {string} jobId @param {number} after */
      follow: (jobId, after) => this.#link?.follow(jobId, after),
      /** @param {string} jobId @param {number} after */
      catchUp: (jobId, after) => this.#link?.catchUp(jobId, after),
    };
    this.#owner = new Promise((resolve) => { this.#own = resolve; });
    this.#saved = new Saved(storage === undefined ? ownStorage() : storage, this.#owner);
  }

  /** How it is connected. */
  get connection() {
    return this.#connection;
  }

  /** Told whenever that changes. Returns what unsubscribes. @param {(connection: import("./types.js").Connection) => void} listener */
  onConnection(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Follow one job, or several. @param {string | readonly string[]} jobs @param {Following} [following] */
  track(jobs, { history = true } = {}) {
    return this.#track({ jobs: typeof jobs === "string" ? [jobs] : [...new Set(jobs)] }, history);
  }

  /** Follow all jobs of a user, those to come too. @param {string} userId @param {Following} [following] */
  trackUser(userId, { history = false } = {}) {
    return this.#track({
      room: `user_${userId}`,
      shows: (event) => event.userId === userId || event.socketUserId === userId,
    }, history);
  }

  /** Follow every job there is: for admins. @param {Following} [following] */
  trackAll({ history = false } = {}) {
    return this.#track({ room: "admin_launches", shows: () => true }, history);
  }

  /**
   * Start an operation. Asked again for up to half a minute while nothing answers; it still starts once.
   *
   * @param {import("./types.js").OperationRequest} request
   * @param {{ idempotencyKey?: string }} [options] the same key and request start the same operation
   * @returns {Promise<{ jobId: string, status: string, statusUrl: string }>}
   */
  submit(request, { idempotencyKey = randomKey() } = {}) {
    return this.#rest.insist("POST", "/api/cto/jobs", { body: request, headers: { "Idempotency-Key": idempotencyKey } });
  }

  /** Cancel a job: takes effect before its next transfer or buy. @param {string} jobId @returns {Promise<any>} */
  cancel(jobId) {
    return this.#rest.insist("POST", `/api/cto/job/${encodeURIComponent(jobId)}/cancel`);
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
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
    return this.#rest.request("GET", `/api/cto/jobs?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`);
  }

  /** Counts of up to 500 jobs, by the gateway. @param {readonly string[]} jobIds @returns {Promise<any>} */
  stats(jobIds) {
    return this.#rest.request("GET", `/api/cto/jobs/stats?jobIds=${jobIds.map(encodeURIComponent).join(",")}`);
  }

  /** Try again now, also after a refusal. */
  reconnect() {
    this.#wake();
    this.#link?.reconnect();
  }

  close() {
    for (const tracker of [...this.#trackers]) tracker.close();
    this.#link?.close();
    this.#token.close();
    this.#closed = true;
    this.#wake();
    void this.#saved.flush();
    this.#show({ state: "closed", via: null, error: null });
  }

  /** @param {import("./tracker.js").Scope} scope @param {boolean} complete */
  #track(scope, complete) {
    if (this.#closed) throw new CTOError("closed", "this client is closed: connect another");
    if (!this.#trackers.size && !this.#link) void this.#start();
    const newest = async () => {
      const userId = "room" in scope ? /^user_(.*)$/.exec(scope.room)?.[1] : undefined;
      return (await this.jobs({ limit: 50, userId })).jobs.map(({ latestProgress }) => latestProgress).toReversed();
    };
    const tracker = new Tracker(this.#proxy, scope, this.#saved, complete, newest, (rooms) => {
      this.#trackers.delete(tracker);
      const wanted = new Set([...this.#trackers].flatMap((other) => other.rooms));
      for (const room of rooms) if (!wanted.has(room)) this.#link?.leave(room);
    });
    this.#trackers.add(tracker);
    return tracker;
  }

  /** Connect, once it is known as whom: only tabs of the same user may share. */
  async #start() {
    if (this.#starting) return;
    this.#starting = true;
    let token;
    for (;;) {
      this.#show({ state: "connecting", via: null, error: null });
      try {
        token = await this.#token.get();
        break;
      } catch (error) {
        if (this.#closed) return;
        this.#show({ state: "waiting", via: null, error: /** @type {CTOError} */ (error) });
        await new Promise((resolve) => {
          setTimeout(resolve, RETRY_MS);
          this.#wake = () => resolve(undefined);
        });
      }
    }
    if (this.#closed) return;
    const { sub, role } = claimsOf(token);
    const owner = `${this.#url} ${sub ?? ""} ${role ?? ""}`;
    /** @param {"opened" | "event" | "joined" | "resumed" | "gap" | "refused"} name */
    const toAll = (name) => (/** @type {any[]} */ ...told) => {
      for (const tracker of [...this.#trackers]) /** @type {any} */ (tracker)[name](...told);
    };
    const on = {
      opened: toAll("opened"), event: toAll("event"), joined: toAll("joined"), resumed: toAll("resumed"),
      gap: toAll("gap"), refused: toAll("refused"), connection: this.#show.bind(this),
    };
    const mayShare = this.#shared && (token === undefined || sub !== undefined);
    this.#link = mayShare ? new Tabs(`cto-progress ${owner}`, this.#climb, on) : this.#climb(on);
    this.#own(owner);
  }

  /** @param {import("./types.js").Connection} connection */
  #show(connection) {
    this.#connection = connection;
    for (const listener of [...this.#listeners]) listener(connection);
  }
}

/**
 * A rung that is loaded when it is needed, which few pages ever do.
 *
 * @param {string} name
 * @param {() => Promise<{ open: import("./types.js").Rung["open"] }>} load
 * @returns {import("./types.js").Rung}
 */
const later = (name, load) => ({
  name,
  async open(opening) {
    const rung = await load().catch(() => { throw new CTOError("unreachable", `${name} could not be loaded`); });
    return rung.open(opening);
  },
});

/** `sessionStorage`, where pages have one and may use it. */
function ownStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}

function randomKey() {
  const bytes = globalThis.crypto?.getRandomValues?.(new Uint8Array(16));
  return bytes ? Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
    : `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
}
