import { CTOError } from "./errors.js";

const ANSWER_MS = 2_000; // in which a leader that lives answers
const WATCH_MS = 10_000;

/** @typedef {import("./ladder.js").LinkHandlers} LinkHandlers */
/** @typedef {import("./ladder.js").Ladder} Ladder */

/** Whether this browser can share a connection among tabs. */
export const canShare = () =>
  typeof BroadcastChannel !== "undefined" && typeof document !== "undefined" && globalThis.navigator?.locks !== undefined;

/**
 * One connection for all tabs of an origin. The tab that holds the lock leads: it has the connection, does what the
 * others ask for, and tells all of them what comes. When it goes, the browser gives the lock to the next one, whose
 * connection opens; then every tab asks anew for everything. A leader that does not answer is frozen, and deposed.
 */
export class Tabs {
  /** @type {import("./types.js").Connection} */ #connection = { state: "connecting", via: null, error: null };
  /** @type {Ladder | undefined} */ #ladder;
  /** @type {Map<string, Set<string>>} which tabs want which room */ #wanted = new Map();
  /** @type {Set<string>} the other tabs that live */ #known = new Set();
  /** @type {() => void} */ #stopLeading = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #patience;
  #me = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  #leaderIsOpen = false;
  #closes = new AbortController();
  #name;
  #climb;
  #on;
  #channel;
  #watch;

  /**
   * @param {string} name the same for all tabs that share: one gateway and one user
   * @param {(on: LinkHandlers) => Ladder} climb
   * @param {LinkHandlers} on
   */
  constructor(name, climb, on) {
    this.#name = name;
    this.#climb = climb;
    this.#on = on;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    // The others know that this tab is gone when they get its lock.
    this.#hold(`${name} ${this.#me}`, {}, () => {});
    this.#hold(name, {}, () => this.#lead());
    document.addEventListener("visibilitychange", this.#hail);
    this.#watch = setInterval(this.#hail, WATCH_MS);
    this.#ask("hello");
  }

  get isOpen() {
    return this.#ladder ? this.#ladder.isOpen : this.#leaderIsOpen;
  }

  get connection() {
    return this.#connection;
  }

  /** @param {string} room */
  join(room) { this.#ask("join", room); }

  /** @param {string} room */
  leave(room) { this.#ask("leave", room); }

  /** @param {string} jobId @param {number} after */
  follow(jobId, after) { this.#ask("follow", jobId, after); }

  /** @param {string} jobId @param {number} after */
  catchUp(jobId, after) { this.#ask("catchUp", jobId, after); }

  /** @param {string} token */
  refresh(token) { this.#ladder?.refresh(token); }

  reconnect() { this.#ask("reconnect"); }

  close() {
    clearInterval(this.#watch);
    clearTimeout(this.#patience);
    document.removeEventListener("visibilitychange", this.#hail);
    this.#closes.abort();
    this.#stopLeading();
    this.#channel.close();
  }

  /**
   * Hold a lock until this closes, from when it is had.
   *
   * @param {string} name
   * @param {{ steal?: boolean }} options
   * @param {() => void} had
   */
  #hold(name, options, had) {
    const signal = options.steal ? {} : { signal: this.#closes.signal };
    return navigator.locks.request(name, { ...options, ...signal }, () => {
      if (this.#closes.signal.aborted) return undefined;
      had();
      return new Promise((resolve) => this.#closes.signal.addEventListener("abort", resolve));
    }).catch(() => { // another tab has taken it
      if (name !== this.#name || this.#closes.signal.aborted) return;
      this.#stopLeading();
      this.#hold(name, {}, () => this.#lead());
    });
  }

  #lead() {
    /** @type {any} */ const on = {};
    for (const name of /** @type {(keyof LinkHandlers)[]} */ (["event", "joined", "resumed", "gap", "refused", "connection", "opened"])) {
      on[name] = (/** @type {any[]} */ ...told) => this.#tell(name, told);
    }
    this.#leaderIsOpen = false;
    const ladder = this.#climb(on);
    this.#ladder = ladder;
    this.#stopLeading = () => {
      this.#ladder = undefined;
      this.#wanted.clear();
      ladder.close();
      this.#stopLeading = () => {};
    };
  }

  /** @param {string} verb @param {any[]} about */
  #ask(verb, ...about) {
    if (this.#ladder) this.#do(this.#me, verb, about);
    else this.#channel.postMessage({ from: this.#me, verb, about });
  }

  /** @param {keyof LinkHandlers} name @param {any[]} told */
  #tell(name, told) {
    if (!this.#ladder && name !== "connection") return;
    this.#channel.postMessage({ name, told: told.map(plain) });
    if (name === "connection") this.#connection = told[0];
    /** @type {any} */ (this.#on[name])(...told);
  }

  /** @param {any} said */
  #hear({ from, verb, about, to, name, told, isHidden }) {
    if (verb && this.#ladder) this.#do(from, verb, about);
    if (!name || this.#ladder || (to && to !== this.#me)) return;
    clearTimeout(this.#patience);
    this.#patience = undefined;
    const [first, ...others] = told.map(revived);
    /** @type {any} */ (this.#on)[name](first, ...others);
    if (name !== "connection") return;
    this.#connection = first;
    const wasOpen = this.#leaderIsOpen;
    this.#leaderIsOpen = first.state === "live";
    if (to && !wasOpen && this.#leaderIsOpen) this.#on.opened(); // before this tab came
    // Who polls does not while its tab is hidden; this one is not.
    if (isHidden && first.via === "polling" && document.visibilityState === "visible") this.#depose();
  }

  /**
   * As the leader, do what a tab asks for.
   *
   * @param {string} tab
   * @param {string} verb
   * @param {any[]} about
   */
  #do(tab, verb, about) {
    const ladder = /** @type {Ladder} */ (this.#ladder);
    if (tab !== this.#me) this.#know(tab);
    const room = verb === "follow" ? `job_${about[0]}` : about[0];
    if (verb === "join" || verb === "follow") this.#wanted.set(room, (this.#wanted.get(room) ?? new Set()).add(tab));
    if (verb === "hello") this.#greet(tab);
    else if (verb === "leave") this.#unwant(tab, room);
    else /** @type {any} */ (ladder)[verb](...about);
  }

  /** @param {string} tab */
  #greet(tab) {
    if (tab === this.#me) return;
    const isHidden = document.visibilityState === "hidden";
    this.#channel.postMessage({ to: tab, name: "connection", told: [plain(this.#connection)], isHidden });
  }

  /** @param {string} tab @param {string} room */
  #unwant(tab, room) {
    const tabs = this.#wanted.get(room);
    if (!tabs?.delete(tab) || tabs.size) return;
    this.#wanted.delete(room);
    this.#ladder?.leave(room);
  }

  /** Forget what a tab wants once it is gone. @param {string} tab */
  #know(tab) {
    if (this.#known.has(tab)) return;
    this.#known.add(tab);
    navigator.locks.request(`${this.#name} ${tab}`, { signal: this.#closes.signal }, () => {
      this.#known.delete(tab);
      for (const room of [...this.#wanted.keys()]) this.#unwant(tab, room);
    }).catch(() => {});
  }

  /** See whether the leader lives. */
  #hail = () => {
    if (this.#ladder || document.visibilityState === "hidden") return;
    this.#ask("hello");
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      this.#depose();
    }, ANSWER_MS);
  };

  #depose() {
    void this.#hold(this.#name, { steal: true }, () => this.#lead());
  }
}

/** An error would lose its code on the way. @param {any} told @returns {any} */
const plain = (told) => {
  if (told instanceof CTOError) return { ...told, isError: true, message: told.message };
  return told?.error instanceof CTOError ? { ...told, error: plain(told.error) } : told;
};

/** @param {any} told @returns {any} */
const revived = (told) => {
  if (told?.isError) return new CTOError(told.code, told.message, told);
  return told?.error?.isError ? { ...told, error: revived(told.error) } : told;
};
