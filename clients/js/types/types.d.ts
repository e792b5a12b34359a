/**
 * What crosses the wire, and what the parts of the client ask of each other. Nothing here runs.
 *
 * @module
 */
export type StepResult = {
    kind: "transfer" | "buy";
    wallet: string;
    status: "confirmed" | "failed" | "unknown";
    /**
     * null when no transaction was sent
     */
    signature: string | null;
    /**
     * SOL, fees included
     */
    spent: number;
    /**
     * base units of the token
     */
    tokens: number;
    errorCode?: string;
    error?: string;
};
export type Outcome = "full" | "partial" | "none" | "unknown";
export type Details = {
    successfulBuys?: number;
    failedBuys?: number;
    unknownBuys?: number;
    unknownTransfers?: number;
    /**
     * SOL, fees included
     */
    totalSpent?: number;
    walletsUsed?: number;
    /**
     * in all, from phase 4 on
     */
    plannedBuys?: number;
    /**
     * that are to buy, in order; in the first event of phase 4
     */
    plannedWallets?: string[];
    /**
     * in the last event; `outcomeOf` also knows that of older jobs
     */
    outcome?: Outcome;
    /**
     * in the last event: whether an operator had to look at the job when it ended
     */
    needsReview?: boolean;
    transactionSignatures?: string[];
    /**
     * ms
     */
    estimatedTimeRemaining?: number;
    currentOperation?: string;
    lastStep?: StepResult;
    error?: string;
    errorCode?: string;
};
export type ProgressEvent = {
    workerType: "cto_operation";
    jobId: string;
    seq: number;
    /**
     * 0 until a worker has the job
     */
    attempt: number;
    tokenAddress: string;
    userId: string;
    userChatId: number;
    socketUserId?: string;
    /**
     * 1–5
     */
    phase: number;
    /**
     * 5
     */
    totalPhases: number;
    phaseTitle: string;
    phaseDescription: string;
    /**
     * 0–100, never falls
     */
    progress: number;
    status: "started" | "in_progress" | "completed" | "failed";
    /**
     * ms since 1970-01-01 UTC
     */
    timestamp: number;
    mode: "standard" | "prefunded";
    platform: string;
    /**
     * SOL
     */
    buyAmount: number;
    details?: Details;
};
export type OperationRequest = {
    tokenAddress: string;
    userId: string;
    userChatId: number;
    mode: "standard" | "prefunded";
    /**
     * SOL
     */
    buyAmount: number;
    wallets?: string[];
    walletCount?: number;
    platform?: string;
    socketUserId?: string;
    slippageBps?: number;
};
export type Connection = {
    /**
     *   `waiting`: nothing could be reached, it is tried again; `refused`: nothing will be tried before
     *   `reconnect` is called
     */
    state: "idle" | "connecting" | "live" | "waiting" | "refused" | "closed";
    via: string | null;
    /**
     * why it is not live
     */
    error: import("./errors.js").CTOError | null;
};
export type ServerMessage = ["event", ProgressEvent] | ["joined", string] | ["resumed", string, ProgressEvent[]] | ["gap", string, number] | ["refused", Target, import("./errors.js").CTOError];
export type ClientCommand = ["join" | "leave", string] | ["follow" | "catchUp", string, number] | ["refresh", string];
export type Target = {
    room: string;
} | {
    jobId: string;
};
export type Session = {
    join: (room: string) => void;
    leave: (room: string) => void;
    follow: (jobId: string, after: number) => void;
    catchUp: (jobId: string, after: number) => void;
    refresh: (token: string) => void;
    close: () => void;
};
export type TransportContext = {
    /**
     * the gateway's
     */
    url: string;
    token: string | undefined;
    rest: import("./rest.js").Rest;
    tell: (...told: ServerMessage) => void;
    /**
     * the connection has ended by itself
     */
    closed: (error: import("./errors.js").CTOError) => void;
    /**
     * the connection is not wanted any more
     */
    signal: AbortSignal;
};
export type Transport = {
    name: string;
    /**
     * rejects with a CTOError
     */
    open: (opening: TransportContext) => Promise<Session>;
};
/**
 * The transfer or buy that has just ended.
 *
 * @typedef {object} StepResult
 * @property {"transfer" | "buy"} kind
 * @property {string} wallet
 * @property {"confirmed" | "failed" | "unknown"} status
 * @property {string | null} signature null when no transaction was sent
 * @property {number} spent SOL, fees included
 * @property {number} tokens base units of the token
 * @property {string} [errorCode]
 * @property {string} [error]
 */
/**
 * What an ended job came to. `full`: every planned buy was confirmed; `partial`: some were, the others failed or were not
 * made; `none`: nothing was bought; `unknown`: the result of at least one transfer or buy is not known.
 *
 * @typedef {"full" | "partial" | "none" | "unknown"} Outcome
 */
/**
 * What is known so far, each only when it is known.
 *
 * @typedef {object} Details
 * @property {number} [successfulBuys]
 * @property {number} [failedBuys]
 * @property {number} [unknownBuys]
 * @property {number} [unknownTransfers]
 * @property {number} [totalSpent] SOL, fees included
 * @property {number} [walletsUsed]
 * @property {number} [plannedBuys] in all, from phase 4 on
 * @property {string[]} [plannedWallets] that are to buy, in order; in the first event of phase 4
 * @property {Outcome} [outcome] in the last event; `outcomeOf` also knows that of older jobs
 * @property {boolean} [needsReview] in the last event: whether an operator had to look at the job when it ended
 * @property {string[]} [transactionSignatures]
 * @property {number} [estimatedTimeRemaining] ms
 * @property {string} [currentOperation]
 * @property {StepResult} [lastStep]
 * @property {string} [error]
 * @property {string} [errorCode]
 */
/**
 * One step of a job. `seq` is 1, 2, 3 … within the job.
 *
 * @typedef {object} ProgressEvent
 * @property {"cto_operation"} workerType
 * @property {string} jobId
 * @property {number} seq
 * @property {number} attempt 0 until a worker has the job
 * @property {string} tokenAddress
 * @property {string} userId
 * @property {number} userChatId
 * @property {string} [socketUserId]
 * @property {number} phase 1–5
 * @property {number} totalPhases 5
 * @property {string} phaseTitle
 * @property {string} phaseDescription
 * @property {number} progress 0–100, never falls
 * @property {"started" | "in_progress" | "completed" | "failed"} status
 * @property {number} timestamp ms since 1970-01-01 UTC
 * @property {"standard" | "prefunded"} mode
 * @property {string} platform
 * @property {number} buyAmount SOL
 * @property {Details} [details]
 */
/**
 * The body of a request to start an operation.
 *
 * @typedef {object} OperationRequest
 * @property {string} tokenAddress
 * @property {string} userId
 * @property {number} userChatId
 * @property {"standard" | "prefunded"} mode
 * @property {number} buyAmount SOL
 * @property {string[]} [wallets]
 * @property {number} [walletCount]
 * @property {string} [platform]
 * @property {string} [socketUserId]
 * @property {number} [slippageBps]
 */
/**
 * How the client is connected. `via` names the transport that is in use.
 *
 * @typedef {object} Connection
 * @property {"idle" | "connecting" | "live" | "waiting" | "refused" | "closed"} state
 *   `waiting`: nothing could be reached, it is tried again; `refused`: nothing will be tried before
 *   `reconnect` is called
 * @property {string | null} via
 * @property {import("./errors.js").CTOError | null} error why it is not live
 */
/**
 * What a connection tells: an event; that all that a room shows at once has been told; what was missed of a job; that its
 * history begins only at a seq; that something is refused.
 *
 * @typedef {["event", ProgressEvent] | ["joined", string] | ["resumed", string, ProgressEvent[]] | ["gap", string, number]
 *   | ["refused", Target, import("./errors.js").CTOError]} ServerMessage
 */
/**
 * What one may ask of a connection: `follow` is what comes after a seq of a job and then every event, `catchUp` only
 * what has come so far, `refresh` shows a newer token.
 *
 * @typedef {["join" | "leave", string] | ["follow" | "catchUp", string, number] | ["refresh", string]} ClientCommand
 */
/** @typedef {{ room: string } | { jobId: string }} Target */
/**
 * One open connection, and what it does when it is asked for something.
 *
 * @typedef {object} Session
 * @property {(room: string) => void} join
 * @property {(room: string) => void} leave
 * @property {(jobId: string, after: number) => void} follow
 * @property {(jobId: string, after: number) => void} catchUp
 * @property {(token: string) => void} refresh
 * @property {() => void} close
 */
/**
 * What a transport opens a connection with.
 *
 * @typedef {object} TransportContext
 * @property {string} url the gateway's
 * @property {string | undefined} token
 * @property {import("./rest.js").Rest} rest
 * @property {(...told: ServerMessage) => void} tell
 * @property {(error: import("./errors.js").CTOError) => void} closed the connection has ended by itself
 * @property {AbortSignal} signal the connection is not wanted any more
 */
/**
 * One way to connect.
 *
 * @typedef {object} Transport
 * @property {string} name
 * @property {(opening: TransportContext) => Promise<Session>} open rejects with a CTOError
 */
export {};
