/**
 * Types of the messages on the wire, and of the interfaces between the client's modules. Contains no code.
 *
 * @module
 */

/**
 * A finished transfer or buy.
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
 * The outcome of an ended job. `full`: every planned buy was confirmed; `partial`: some buys were confirmed, the others
 * failed or were not made; `none`: no buy was confirmed; `unknown`: the result of at least one transfer or buy is unknown.
 *
 * @typedef {"full" | "partial" | "none" | "unknown"} Outcome
 */

/**
 * The results so far. A field is absent until its value is known.
 *
 * @typedef {object} Details
 * @property {number} [successfulBuys]
 * @property {number} [failedBuys]
 * @property {number} [unknownBuys]
 * @property {number} [unknownTransfers]
 * @property {number} [totalSpent] SOL, fees included
 * @property {number} [walletsUsed]
 * @property {number} [plannedBuys] total, from phase 4 on
 * @property {string[]} [plannedWallets] wallets that will buy, in order; in the first event of phase 4
 * @property {string[]} [startingWallets] wallets whose next transfer or buy begins after this event
 * @property {Outcome} [outcome] in the last event; use `outcomeOf`, which also supports older gateways
 * @property {boolean} [needsReview] in the last event: whether an operator had to look at the job when it ended
 * @property {string[]} [transactionSignatures]
 * @property {number} [estimatedTimeRemaining] ms
 * @property {string} [currentOperation]
 * @property {StepResult} [lastStep]
 * @property {string} [error]
 * @property {string} [errorCode]
 */

/**
 * A progress event. `seq` is 1, 2, 3 … within the job.
 *
 * @typedef {object} ProgressEvent
 * @property {"cto_operation"} workerType
 * @property {string} jobId
 * @property {number} seq
 * @property {number} attempt 0 until a worker claims the job
 * @property {string} tokenAddress
 * @property {string} userId
 * @property {number} userChatId
 * @property {string} [socketUserId]
 * @property {number} phase 1–5
 * @property {number} totalPhases 5
 * @property {string} phaseTitle
 * @property {string} phaseDescription
 * @property {number} progress 0–100, never decreases
 * @property {"started" | "in_progress" | "completed" | "failed"} status
 * @property {number} timestamp ms since 1970-01-01 UTC
 * @property {"standard" | "prefunded"} mode
 * @property {string} platform
 * @property {number} buyAmount SOL
 * @property {Details} [details]
 */

/**
 * The body of the request that starts an operation.
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
 * The state of the client's connection. `via` is the name of the transport in use.
 *
 * @typedef {object} Connection
 * @property {"idle" | "connecting" | "live" | "waiting" | "refused" | "closed"} state
 *   `waiting`: no transport works, the client retries later; `refused`: the client does not retry before `reconnect` is
 *   called
 * @property {string | null} via
 * @property {import("./errors.js").CTOError | null} error why the connection is not live
 */

/**
 * A message of a connection. `event`: one event. `joined`: a room has sent its initial events. `resumed`: the missing
 * events of a job. `gap`: the history of a job begins only at this seq. `refused`: a room or job was refused.
 *
 * @typedef {["event", ProgressEvent] | ["joined", string] | ["resumed", string, ProgressEvent[]] | ["gap", string, number]
 *   | ["refused", Target, import("./errors.js").CTOError]} ServerMessage
 */

/**
 * A command to a connection. `follow`: the events of a job after a seq, then all new ones. `catchUp`: only the events so
 * far. `refresh`: use a new token.
 *
 * @typedef {Subscription | ["leave", string] | ["catchUp", string, number] | ["refresh", string]} ClientCommand
 */

/** @typedef {["join", string] | ["follow", string, number]} Subscription a command for a room or a job until `leave` */

/** @typedef {{ room: string } | { jobId: string }} Target */

/**
 * An open connection. Each method carries out a {@link ClientCommand}.
 *
 * @typedef {object} Session
 * @property {(room: string) => void} join
 * @property {(room: string) => void} leave
 * @property {(jobId: string, after: number) => void} follow
 * @property {(jobId: string, after: number) => void} catchUp
 * @property {(token: string) => void} refresh
 * @property {() => readonly Subscription[]} [subscriptions] the joined rooms and followed jobs
 * @property {() => void} close
 */

/**
 * The arguments with which a transport opens a connection.
 *
 * @typedef {object} TransportContext
 * @property {string} url address of the gateway
 * @property {string | undefined} token
 * @property {import("./rest.js").Rest} rest
 * @property {Session} [current] the working connection that this one will replace; then its subscriptions are repeated
 * @property {(...message: ServerMessage) => void} emit
 * @property {(error: import("./errors.js").CTOError) => void} onClosed called if the connection ends without `close`
 * @property {AbortSignal} signal aborted when the connection is not needed any more
 */

/**
 * A way to connect to the gateway. `open` must not resolve before the gateway has accepted the connection: a working
 * connection is closed then.
 *
 * @typedef {object} Transport
 * @property {string} name
 * @property {(context: TransportContext) => Promise<Session>} open rejects with a CTOError
 */

export {};
