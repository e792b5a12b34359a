import { Client } from "./client.js";
import { CTOError } from "./errors.js";
import { hasEnded } from "./job.js";
import { pageOf, statusOf, totalsOf } from "./simulated-responses.js";
import { statsOf } from "./stats.js";

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const PHASES = [
  { progress: 10, title: "CTO Operation Started" },
  { progress: 25, title: "Validating Parameters" },
  { progress: 45, title: "Platform Detection" },
  { progress: 70, title: "Executing Operation" },
];
const LAST_PROGRESS = 99; // before the final event
const KINDS = /** @type {const} */ (["transfer", "buy"]);
const TEXTS = { transfer: "Distributing SOL to", buy: "Buying with" };
const PARALLELISM = 10; // orders in flight
const LATENCY_MS = 400; // of the market
const FEE_SOL = 0.000105;
const TOKENS_PER_SOL = 35_000_000_000_000; // base units, on a new bonding curve
const MINT_LENGTH = 44;
const WALLET_LENGTH = 44;
const SIGNATURE_LENGTH = 88;

/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./types.js").OperationRequest} OperationRequest */
/** @typedef {{ kind: "transfer" | "buy", wallet: string }} SimulatedStep */

/**
 * @typedef {object} Simulation
 * @property {number} [speed] 2: twice as fast as the paper market
 * @property {number} [failureRate] share of buys that fail, 0–1
 * @property {number} [unknownRate] share of buys whose result stays unknown, 0–1
 * @property {string} [userId] owner of the jobs that are tracked without having been submitted
 * @property {number} [seed] the same seed gives the same events
 */

/**
 * Create a client that simulates operations without a gateway. It sends the events of real operations, in the same order
 * and at the same speed. Tracking an unknown job id starts a job; `submit`, `cancel`, `jobs`, `summary` and `stats` work.
 *
 * @param {Simulation} [simulation]
 */
export function simulate({ speed = 1, failureRate = 0.1, unknownRate = 0, userId = "demo", seed = 1 } = {}) {
  const random = generator(seed);
  /** @type {Map<string, SimulatedJob>} */ const jobs = new Map();
  /** @type {Set<(event: ProgressEvent) => void>} */ const listeners = new Set();

  /** @param {OperationRequest} request @param {string} [jobId] */
  const start = (request, jobId = text(random, 22)) => {
    const jobRandom = generator(seed + jobs.size + 1); // one generator per job, because jobs run concurrently
    const publish = (/** @type {ProgressEvent} */ event) => listeners.forEach((listener) => listener(event));
    const job = new SimulatedJob(jobId, request, jobRandom, { failureRate, unknownRate }, speed, publish);
    jobs.set(jobId, job);
    return job;
  };
  /** @param {string} jobId */
  const jobOf = (jobId) => jobs.get(jobId) ?? start({
    tokenAddress: `${text(random, MINT_LENGTH - 4)}pump`, userId, userChatId: 1, mode: random() < 0.5 ? "standard" : "prefunded",
    buyAmount: 0.5, walletCount: 2 + Math.floor(random() * 4),
  }, jobId);

  /** @type {import("./types.js").Transport} */
  const transport = {
    name: "simulation",
    async open({ emit }) {
      /** @type {Set<string>} */ const rooms = new Set();
      /** @param {ProgressEvent} event */
      const listener = (event) => {
        const roomsOfEvent = [`job_${event.jobId}`, `user_${event.userId}`, "admin_launches"];
        if (roomsOfEvent.some((room) => rooms.has(room))) emit("event", event);
      };
      listeners.add(listener);
      /** @param {string} jobId @param {number} after */
      const resume = (jobId, after) => {
        rooms.add(`job_${jobId}`);
        emit("resumed", jobId, jobOf(jobId).events.filter(({ seq }) => seq > after));
      };
      return {
        join: (room) => {
          rooms.add(room);
          for (const { latest } of jobs.values()) if (!hasEnded(latest)) listener(latest);
          emit("joined", room);
        },
        leave: (room) => void rooms.delete(room),
        follow: resume,
        catchUp: resume,
        refresh: () => {},
        close: () => void listeners.delete(listener),
      };
    },
  };

  /** @param {string} method @param {string} path @param {{ body?: any }} [options] @returns {Promise<any>} */
  const request = async (method, path, { body } = {}) => {
    const { pathname, searchParams } = new URL(path, "http://simulation");
    const [, jobId, resource] = /^\/api\/cto\/job\/([^/]+)\/(\w+)$/.exec(pathname) ?? [];
    if (method === "POST" && !jobId) {
      const job = start(body);
      return { jobId: job.jobId, status: "waiting", statusUrl: `/api/cto/job/${job.jobId}/status` };
    }
    if (pathname.endsWith("/jobs/stats")) {
      return statsOf((searchParams.get("jobIds") ?? "").split(",").map((id) => ({ latest: jobs.get(id)?.latest ?? null })));
    }
    if (pathname.endsWith("/jobs/summary")) return totalsOf([...jobs.values()], searchParams);
    if (!jobId) return pageOf([...jobs.values()], searchParams);
    const job = jobs.get(decodeURIComponent(jobId));
    if (!job) throw new CTOError("job_not_found", `no job ${jobId}`, { status: 404 });
    if (resource === "events") return { jobId, events: job.events.filter(({ seq }) => seq > Number(searchParams.get("after") ?? 0)) };
    if (resource === "cancel") {
      job.cancelled = true;
      return { jobId, status: statusOf(job).status, cancelRequested: true };
    }
    return statusOf(job);
  };

  return new Client({ url: "http://simulation", tabs: false, storage: null, transports: [transport], rest: { request, requestWithRetry: request } });
}

/** A simulated operation. It starts when it is created. */
class SimulatedJob {
  /** @type {ProgressEvent[]} */ events = [];
  cancelled = false;

  /**
   * @param {string} jobId
   * @param {OperationRequest} request
   * @param {() => number} random
   * @param {{ failureRate: number, unknownRate: number }} rates
   * @param {number} speed
   * @param {(event: ProgressEvent) => void} publish called with each event after the first
   */
  constructor(jobId, request, random, rates, speed, publish) {
    this.jobId = jobId;
    this.request = request;
    const steps = this.#run(random, rates);
    const next = () => {
      const { value, done } = steps.next();
      if (done) return;
      const { waitMs, ...event } = value;
      this.events.push(this.#event(event));
      if (this.events.length > 1) publish(this.latest);
      setTimeout(next, (waitMs * (0.7 + random() * 0.6)) / speed);
    };
    next();
  }

  get latest() {
    return this.events[this.events.length - 1];
  }

  /**
   * Run the five phases. Each yielded value has the fields of an event, and `waitMs` until the next one.
   *
   * @param {() => number} random
   * @param {{ failureRate: number, unknownRate: number }} rates
   * @returns {Generator<any, void>}
   */
  *#run(random, { failureRate, unknownRate }) {
    const { buyAmount, mode, tokenAddress } = this.request;
    const wallets = this.request.wallets ?? Array.from({ length: this.request.walletCount ?? 5 }, () => text(random, WALLET_LENGTH));
    const platform = this.request.platform ?? { pump: "pumpfun", bonk: "bonk" }[tokenAddress.slice(-4)] ?? "raydium";
    /** @type {any} */ const totals = {
      successfulBuys: 0, failedBuys: 0, totalSpent: 0, walletsUsed: 0, transactionSignatures: /** @type {string[]} */ ([]),
    };
    yield { phase: 1, phaseDescription: `Initiating ${mode} CTO operation`, waitMs: 300, details: { currentOperation: "Waiting for a worker" } };
    yield {
      phase: 2, waitMs: 200, phaseDescription: "Checking wallet balances and operation parameters",
      details: { ...totals, currentOperation: `Checking ${wallets.length} wallets` },
    };
    yield {
      phase: 3, platform, waitMs: 250, phaseDescription: `Optimizing for ${platform} platform`,
      details: { ...totals, currentOperation: "Choosing the buying strategy" },
    };
    /** @type {SimulatedStep[]} */
    const waiting = KINDS.slice(mode === "standard" ? 0 : 1).flatMap((kind) => wallets.map((wallet) => ({ wallet, kind })));
    const planned = waiting.length;
    const ended = { transfer: 0, buy: 0 };
    totals.plannedBuys = wallets.length;
    /** @type {any} */ let news = { plannedWallets: wallets }; // for the next event only
    /** @param {SimulatedStep[]} inFlight @param {number} waitMs @param {object} [fields] of `details` */
    const report = (inFlight, waitMs, fields) => {
      const details = {
        ...totals, ...news, ...fields, currentOperation: activity(inFlight, ended, wallets),
        estimatedTimeRemaining: LATENCY_MS * roundsOf([...inFlight, ...waiting]),
      };
      news = {};
      const progress = PHASES[3].progress + ((LAST_PROGRESS - PHASES[3].progress) * (ended.transfer + ended.buy)) / planned;
      return { phase: 4, platform, phaseDescription: `Executing ${mode} CTO with ${buyAmount} SOL`, progress, waitMs, details };
    };
    while (waiting.length) {
      const isCancelled = this.cancelled;
      const batch = takeNext(waiting);
      yield report(batch, isCancelled ? 10 : LATENCY_MS, { startingWallets: batch.map(({ wallet }) => wallet) });
      if (isCancelled) {
        yield this.#ending(totals, platform, { error: "Cancelled on request", errorCode: "cancelled" });
        return;
      }
      for (const [at, step] of batch.entries()) {
        news = { lastStep: this.#execute(step, buyAmount / wallets.length, totals, random, { failureRate, unknownRate }) };
        ended[step.kind] += 1;
        const rest = batch.slice(at + 1);
        if (rest.length) yield report(rest, 0);
      }
    }
    yield report([], 10);
    const error = totals.unknownBuys
      ? { error: "No buy is confirmed, and the outcome of at least one order is unknown", errorCode: "outcome_unknown" }
      : { error: "No buy succeeded", errorCode: "all_buys_failed" };
    yield this.#ending(totals, platform, totals.successfulBuys ? {} : error);
  }

  /**
   * Return the result of a step, and add it to the totals.
   *
   * @param {SimulatedStep} step
   * @param {number} share SOL of a wallet
   * @param {any} totals
   * @param {() => number} random
   * @param {{ failureRate: number, unknownRate: number }} rates
   */
  #execute({ kind, wallet }, share, totals, random, { failureRate, unknownRate }) {
    const failed = kind === "buy" && random() < failureRate;
    const unknown = kind === "buy" && !failed && unknownRate > 0 && random() < unknownRate;
    const bought = kind === "buy" && !failed && !unknown;
    const spent = unknown ? 0 : bought ? FEE_SOL + share : FEE_SOL;
    const signature = text(random, SIGNATURE_LENGTH);
    totals.totalSpent = round(totals.totalSpent + spent);
    if (!failed && !unknown) totals.transactionSignatures = [...totals.transactionSignatures, signature];
    if (kind === "buy") {
      totals.walletsUsed += 1;
      if (unknown) totals.unknownBuys = (totals.unknownBuys ?? 0) + 1;
      else if (failed) totals.failedBuys += 1;
      else totals.successfulBuys += 1;
    }
    return {
      kind, wallet, status: unknown ? "unknown" : failed ? "failed" : "confirmed", signature, spent,
      tokens: bought ? Math.round(share * TOKENS_PER_SOL) : 0,
      ...(failed && { errorCode: "slippage_exceeded", error: "The price moved further than the slippage limit allows" }),
    };
  }

  /** @param {any} totals @param {string} platform @param {{ error?: string, errorCode?: string }} error */
  #ending(totals, platform, error) {
    const { plannedBuys, successfulBuys, failedBuys, unknownBuys, totalSpent } = totals;
    const outcome = unknownBuys ? "unknown" : !successfulBuys ? "none" : successfulBuys === plannedBuys ? "full" : "partial";
    return {
      phase: 5, progress: 100, status: error.errorCode ? "failed" : "completed", platform, waitMs: 0,
      phaseDescription: `${successfulBuys} ${successfulBuys === 1 ? "buy" : "buys"} succeeded, ${failedBuys} failed${unknownBuys ? `, ${unknownBuys} unknown` : ""}; ${totalSpent} SOL spent`,
      details: { ...totals, outcome, needsReview: outcome === "unknown", ...error },
    };
  }

  /** @param {any} fields @returns {ProgressEvent} */
  #event({ phase, details, ...fields }) {
    const { tokenAddress, userId, userChatId, socketUserId, mode, buyAmount, platform = "unknown" } = this.request;
    const seq = this.events.length + 1;
    return {
      workerType: "cto_operation", totalPhases: 5, jobId: this.jobId, seq, attempt: seq === 1 ? 0 : 1,
      tokenAddress, userId, userChatId, ...(socketUserId && { socketUserId }), phase,
      phaseTitle: PHASES[phase - 1]?.title ?? `CTO Operation ${fields.status === "failed" ? "Failed" : "Completed"}`,
      progress: PHASES[phase - 1]?.progress ?? 100,
      status: seq === 1 ? "started" : "in_progress",
      timestamp: Date.now(), mode, buyAmount, platform, ...fields, details,
    };
  }
}

/**
 * Remove the steps from `waiting` that begin together: at most one of each wallet.
 *
 * @param {SimulatedStep[]} waiting
 */
function takeNext(waiting) {
  const wallets = new Set(waiting.slice(0, PARALLELISM).map(({ wallet }) => wallet));
  return waiting.splice(0, wallets.size);
}

/**
 * Return what the steps in flight do, e.g. "Buying with 7 wallets, 3 of 10 done".
 *
 * @param {SimulatedStep[]} inFlight
 * @param {Record<string, number>} ended steps of each kind
 * @param {string[]} wallets
 */
function activity(inFlight, ended, wallets) {
  if (inFlight.length === 1) {
    const [{ kind, wallet }] = inFlight;
    return `${TEXTS[kind]} wallet ${wallets.indexOf(wallet) + 1} of ${wallets.length}`;
  }
  return KINDS.map((kind) => ({ kind, count: countOf(kind, inFlight) })).filter(({ count }) => count)
    .map(({ kind, count }) => `${TEXTS[kind]} ${count} wallet${count > 1 ? "s" : ""}, ${ended[kind]} of ${wallets.length} done`)
    .join("; ") || "Finishing";
}

/** Return in how many rounds these steps run. @param {SimulatedStep[]} steps */
const roundsOf = (steps) => KINDS.reduce((sum, kind) => sum + Math.ceil(countOf(kind, steps) / PARALLELISM), 0);

/** @param {"transfer" | "buy"} wanted @param {SimulatedStep[]} steps */
const countOf = (wanted, steps) => steps.filter(({ kind }) => kind === wanted).length;

/** @param {number} sol */
const round = (sol) => Math.round(sol * 1e9) / 1e9;

/** @param {() => number} random @param {number} length */
const text = (random, length) => Array.from({ length }, () => BASE58[Math.floor(random() * BASE58.length)]).join("");

/**
 * Return a function that returns numbers from 0 to 1, the same for the same seed: a linear congruential generator with the
 * constants of Knuth and Lewis (Numerical Recipes, 7.1).
 *
 * @param {number} seed
 */
function generator(seed) {
  let state = seed % 2 ** 32;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
