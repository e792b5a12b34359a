import { CTOError } from "./errors.js";

const ANSWER_MS = 2_000; // in which a leader that lives answers
const WATCH_MS = 10_000;

/** @typedef {import("./connection-manager.js").LinkMessage} LinkMessage */
/** @typedef {import("./connection-manager.js").ConnectionManager} ConnectionManager */

/** Whether this browser can share a connection among tabs. */
export const canShare = () => globalThis.document && globalThis.navigator?.locks;

/**
 * One connection for all tabs of an origin. The tab that holds the lock leads: it has the connection, does what the
 * others ask for, and tells all of them what comes. When it goes, the browser gives the lock to the next one, whose
 * connection opens; then every tab asks anew for everything. A leader that does not answer is frozen, and deposed.
 */
export class SharedConnection {
  isOpen = false;
  /** @type {ConnectionManager | undefined} of the leader */ #manager;
  /** @type {import("./types.js").Connection | undefined} */ #connection;
  /** @type {Map<string, Set<string>>} which tabs want which room */ #wanted = new Map();
  /** @type {Set<string>} the tabs that live */ #known = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #patience;
  #me = Date.now() + Math.random().toString(36);
  #closes = new AbortController();
  #until = { signal: this.#closes.signal };
  #name;
  #createManager;
  #on;
  #channel;
  #watch;

  /**
   * @param {string} name the same for all tabs that share: one gateway and one user
   * @param {(tell: (...told: LinkMessage) => void) => ConnectionManager} createManager
   * @param {(...told: LinkMessage) => void} tell
   */
  constructor(name, createManager, tell) {
    this.#name = name;
    this.#createManager = createManager;
    this.#on = tell;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#acquireLock(name + this.#me, this.#until); // the others know that this tab is gone when they get it
    this.#acquireLock(name, this.#until, this.#lead);
    document.addEventListener("visibilitychange", this.#pingLeader, this.#until);
    this.#watch = setInterval(this.#pingLeader, WATCH_MS);
    this.#send("hello");
  }

  /** @param {import("./types.js").ClientCommand} asked */
  ask(...asked) {
    this.#send(...asked);
  }

  reconnect() {
    this.#send("reconnect");
  }

  close() {
    clearInterval(this.#watch);
    clearTimeout(this.#patience);
    this.#closes.abort();
    this.#manager?.close();
    this.#channel.close();
  }

  /** Hold a lock, once it is had, until this closes. @param {string} name @param {LockOptions} options @param {() => void} [had] */
  async #acquireLock(name, options, had) {
    const { signal } = this.#until;
    try {
      await navigator.locks.request(name, options, () => new Promise((/** @type {(_?: any) => void} */ resolve) => {
        signal.addEventListener("abort", resolve);
        if (signal.aborted) resolve();
        else had?.();
      }));
    } catch { // another tab has taken it
      if (signal.aborted) return;
      this.#manager?.close();
      this.#manager = undefined;
      void this.#acquireLock(name, this.#until, had);
    }
  }

  #lead = () => {
    this.isOpen = false;
    this.#wanted.clear();
    this.#manager = this.#createManager((...told) => {
      this.#channel.postMessage({ told: told.map(plain) });
      this.#take(told);
    });
  };

  /** @param {any[]} asked */
  #send(...asked) {
    if (this.#manager) this.#do(this.#me, asked);
    else this.#channel.postMessage({ from: this.#me, asked });
  }

  /** @param {LinkMessage} told */
  #take(told) {
    if (told[0] === "connection") {
      this.#connection = told[1];
      this.isOpen = told[1].state === "live";
    }
    this.#on(...told);
  }

  /** @param {any} said */
  #hear({ from, asked, to, told, isHidden }) {
    if (this.#manager) {
      if (asked) this.#do(from, asked);
      return;
    }
    if (!told || (to && to !== this.#me)) return;
    clearTimeout(this.#patience);
    this.#patience = undefined;
    const wasOpen = this.isOpen;
    this.#take(told.map(revived));
    if (to && !wasOpen && this.isOpen) this.#on("opened"); // before this tab came
    // Who polls does not while its tab is hidden; this one is not.
    if (isHidden && told[1].via === "polling" && !document.hidden) this.#takeOver();
  }

  /** As the leader, do what a tab asks for. @param {string} tab @param {any[]} asked */
  #do(tab, [verb, about, ...more]) {
    const manager = /** @type {any} */ (this.#manager);
    if (tab !== this.#me) this.#know(tab);
    const room = verb === "leave" || verb === "join" ? about : `job_${about}`;
    if (verb === "join" || verb === "follow" || verb === "catchUp") this.#wanted.set(room, (this.#wanted.get(room) ?? new Set()).add(tab));
    if (verb === "reconnect") manager.reconnect();
    else if (verb === "hello") this.#channel.postMessage({ to: tab, told: ["connection", plain(this.#connection)], isHidden: document.hidden });
    else if (verb !== "leave" || this.#isUnwanted(room, tab)) manager.ask(verb, about, ...more);
  }

  /** Whether nobody wants a room when a tab no longer does. @param {string} room @param {string} tab */
  #isUnwanted(room, tab) {
    const tabs = this.#wanted.get(room);
    return tabs?.delete(tab) && !tabs.size && this.#wanted.delete(room);
  }

  /** Forget what a tab wants once it is gone. @param {string} tab */
  #know(tab) {
    if (this.#known.has(tab)) return;
    this.#known.add(tab);
    navigator.locks.request(this.#name + tab, this.#until, () => {
      this.#known.delete(tab);
      for (const room of this.#wanted.keys()) if (this.#isUnwanted(room, tab)) this.#manager?.ask("leave", room);
    }).catch(() => {});
  }

  /** See whether the leader lives. */
  #pingLeader = () => {
    if (this.#manager || document.hidden) return;
    this.#send("hello");
    this.#patience ??= setTimeout(this.#takeOver, ANSWER_MS);
  };

  #takeOver = () => {
    this.#patience = undefined;
    void this.#acquireLock(this.#name, { steal: true }, this.#lead);
  };
}

/** An error would lose its code on the way. @param {any} told @returns {any} */
const plain = (told) => {
  if (told instanceof CTOError) return { ...told, text: told.message };
  return told?.error ? { ...told, error: plain(told.error) } : told;
};

/** @param {any} told @returns {any} */
const revived = (told) => {
  if (told?.text) return new CTOError(told.code, told.text, told);
  return told?.error ? { ...told, error: revived(told.error) } : told;
};
