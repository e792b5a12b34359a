/**
 * `<cto-progress job="…" url="…">`: a custom element that shows the progress of one job.
 *
 * Attributes: `job`; `url`, by default the page's origin; `token`. Elements with the same `url` and `token` share a
 * client. A page with its own client sets the property `client` instead. While there is no connection, the element shows why.
 * It sets its attributes `status` and, at the end, `outcome`. It dispatches `cto-progress` and `cto-complete`, which bubble, with
 * the event as `detail`. Style it with `--cto-accent`, `--cto-good`, `--cto-warn`, `--cto-bad`, `--cto-track`, and the parts
 * `bar`, `fill`, `title`, `percent`, `now`, `error`.
 *
 * @module
 */

import { connect } from "./client.js";
import { hasEnded } from "./job.js";
import { buysOf, neededReview, outcomeOf } from "./outcome.js";

const STYLE = `
  :host { display: block; font: 14px/1.45 system-ui, sans-serif; container-type: inline-size;
    --accent: var(--cto-accent, #4f5bd5); --good: var(--cto-good, #1c7c4a); --bad: var(--cto-bad, #b3261e);
    --warn: var(--cto-warn, #8a5c00);
    --track: var(--cto-track, color-mix(in srgb, currentColor 14%, transparent)); }
  :host([hidden]) { display: none; }
  .line { display: flex; gap: .75em; align-items: baseline; justify-content: space-between; }
  .title { font-weight: 600; } .percent { font-variant-numeric: tabular-nums; }
  .bar { position: relative; height: .5em; margin: .4em 0; border-radius: 1em; overflow: hidden; background: var(--track); }
  .fill { position: absolute; inset: 0; border-radius: inherit; background: var(--accent); transform-origin: left;
    transform: scaleX(0); transition: transform .35s cubic-bezier(.2, .7, .3, 1), background-color .35s; }
  .now { display: block; min-height: 1.45em; opacity: .78; font-size: .93em; overflow-wrap: anywhere; }
  .error { display: block; color: var(--bad); overflow-wrap: anywhere; } .error:empty { display: none; }
  :host([status="failed"]) .fill { background: var(--bad); }
  :host(:is([outcome="partial"], [outcome="unknown"])) .fill { background: var(--warn); }
  :host([outcome="full"]) .fill { background: var(--good); }
  @supports (color: light-dark(red, red)) { /* the page's scheme, which may differ from that of the system */
    :host { --accent: var(--cto-accent, light-dark(#4f5bd5, #99a2ff)); --good: var(--cto-good, light-dark(#1c7c4a, #5fd197));
      --bad: var(--cto-bad, light-dark(#b3261e, #ff8a80)); --warn: var(--cto-warn, light-dark(#8a5c00, #f0c264)); }
  }
  @media (prefers-reduced-motion: reduce) { .fill { transition: none; } }
`;
const PARTS = ["title", "percent", "bar", "fill", "now", "error"];

/** @type {Map<string, { client: import("./client.js").Client, users: number }>} */ const shared = new Map();
/** @type {CSSStyleSheet | undefined} */ let sheet; // a constructed style sheet is allowed by a page's Content-Security-Policy

/** On a server, which has no `HTMLElement`, the class can be imported but not created. */
const Base = globalThis.HTMLElement ?? /** @type {typeof HTMLElement} */ (class {});

export class CTOProgress extends Base {
  static observedAttributes = ["job", "url", "token"];

  /** @type {import("./client.js").Client | null} */ #client = null;
  /** @type {import("./tracker.js").Tracker | undefined} */ #tracker;
  /** @type {() => void} */ #release = () => {};
  /** @type {Record<string, HTMLElement>} */ #parts = {};

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
    }
    root.adoptedStyleSheets = [sheet];
    for (const name of PARTS) {
      this.#parts[name] = document.createElement(name === "bar" || name === "fill" ? "div" : "span");
      this.#parts[name].className = name;
      this.#parts[name].setAttribute("part", name);
    }
    const { title, percent, bar, fill, now, error } = this.#parts;
    const line = document.createElement("div");
    line.className = "line";
    line.append(title, percent);
    bar.append(fill);
    bar.setAttribute("role", "progressbar");
    bar.setAttribute("aria-valuemin", "0");
    bar.setAttribute("aria-valuemax", "100");
    error.setAttribute("role", "alert");
    root.append(line, bar, now, error);
  }

  /** The page's own client; null if the element uses a shared one. */
  get client() {
    return this.#client;
  }

  set client(client) {
    this.#client = client;
    this.#restart();
  }

  connectedCallback() {
    this.#restart();
  }

  disconnectedCallback() {
    this.#stop();
  }

  attributeChangedCallback() {
    this.#restart();
  }

  #stop() {
    this.#tracker?.close();
    this.#tracker = undefined;
    this.#release();
    this.#release = () => {};
  }

  #restart() {
    const old = { tracker: this.#tracker, release: this.#release };
    this.#tracker = undefined;
    this.#release = () => {};
    const job = this.getAttribute("job");
    this.#draw(null, null);
    try {
      if (this.isConnected && job) this.#track(this.#connect(), job);
    } catch (cause) { // the attribute `url` or `token` is wrong
      this.#draw(null, null, { state: "refused", via: null, error: /** @type {import("./errors.js").CTOError} */ (cause) });
    }
    old.tracker?.close(); // last, so that a connection that both use stays open
    old.release();
  }

  /** @param {import("./client.js").Client} client @param {string} job */
  #track(client, job) {
    const tracker = client.track(job);
    const draw = () => this.#draw(tracker.job()?.latest ?? null, tracker.job()?.error ?? null, client.connection);
    const [unsubscribe, release] = [client.onConnection(draw), this.#release];
    this.#tracker = tracker;
    this.#release = () => {
      unsubscribe();
      release();
    };
    draw();
    tracker.onChange(draw);
    tracker.onProgress((event) => this.#dispatch("cto-progress", event));
    tracker.onComplete((event) => this.#dispatch("cto-complete", event));
  }

  #connect() {
    if (this.#client) return this.#client;
    const url = this.getAttribute("url") ?? location.origin;
    const token = this.getAttribute("token") ?? undefined;
    const key = `${url} ${token}`;
    const entry = shared.get(key) ?? { client: connect({ url, token }), users: 0 };
    shared.set(key, entry);
    entry.users += 1;
    this.#release = () => {
      entry.users -= 1;
      if (entry.users) return;
      shared.delete(key);
      entry.client.close();
    };
    return entry.client;
  }

  /** @param {string} name @param {import("./types.js").ProgressEvent} detail */
  #dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  /**
   * @param {import("./types.js").ProgressEvent | null} latest
   * @param {Error | null} failure why the job was refused
   * @param {import("./types.js").Connection} [connection]
   */
  #draw(latest, failure, connection) {
    const { title, percent, bar, fill, now, error } = this.#parts;
    const progress = latest?.progress ?? 0;
    const details = latest?.details ?? {};
    const ended = latest !== null && hasEnded(latest);
    const leftMs = details.estimatedTimeRemaining;
    const isLost = !ended && (connection?.state === "waiting" || connection?.state === "refused");
    const left = leftMs && !ended ? `about ${Math.ceil(leftMs / 1000)} s left` : "";
    const waiting = connection?.state === "connecting" ? "Connecting" : "Waiting for the first event";
    title.textContent = titleOf(latest) ?? (failure ? "Not found" : isLost ? "Not connected" : this.hasAttribute("job") ? waiting : "No operation");
    percent.textContent = `${Math.round(progress)} %`;
    fill.style.transform = `scaleX(${progress / 100})`;
    now.textContent = [ended ? latest.phaseDescription : details.currentOperation, left].filter(Boolean).join(" · ");
    error.textContent = failure?.message ?? details.error ?? (isLost && connection?.error?.message || "");
    bar.setAttribute("aria-label", this.getAttribute("aria-label") ?? "Progress of the operation");
    bar.setAttribute("aria-valuenow", String(Math.round(progress)));
    bar.setAttribute("aria-valuetext", `${Math.round(progress)} %, ${title.textContent}`);
    for (const [name, value] of Object.entries({ status: latest?.status, outcome: outcomeOf(latest) })) {
      if (value) this.setAttribute(name, value);
      else this.removeAttribute(name);
    }
  }
}

/**
 * Return the title: the phase, or the outcome of a job that needs review or was partly bought.
 *
 * @param {import("./types.js").ProgressEvent | null} latest
 */
function titleOf(latest) {
  const { bought, planned } = buysOf(latest);
  if (neededReview(latest)) return "CTO Operation Needs Review";
  return outcomeOf(latest) === "partial" ? `CTO Operation Partly Bought: ${bought} of ${planned}` : latest?.phaseTitle;
}

if (globalThis.customElements && !customElements.get("cto-progress")) customElements.define("cto-progress", CTOProgress);
