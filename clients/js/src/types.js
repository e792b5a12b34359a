/**
 * Types of the messages on the wire, and of the interfaces between the client's modules. Contains no code.
 *
 * @module
 */

/** @typedef {import("../declarations/openapi.js").components["schemas"]} Schemas the types of the gateway's OpenAPI document */

/** @typedef {Schemas["ProgressEvent"]} ProgressEvent a progress event. `seq` is 1, 2, 3 … within the job */
/** @typedef {Schemas["Details"]} Details the results so far. A field is absent until its value is known */
/** @typedef {Schemas["StepResult"]} StepResult a finished transfer or buy */
/** @typedef {NonNullable<Details["outcome"]>} Outcome the outcome of an ended job */
/** @typedef {Schemas["OperationRequest"]} OperationRequest the body of the request that starts an operation */
/** @typedef {Schemas["Created"]} CreatedJob the response to a new operation */
/** @typedef {Schemas["JobStatus"]} JobStatus a job with its events and result */
/** @typedef {Schemas["OperationResult"]} OperationResult the result of an ended job */
/** @typedef {Schemas["WalletResult"]} WalletResult the result of one wallet */
/** @typedef {Schemas["Cancelling"]} CancelRequested the response to a cancellation */
/** @typedef {Schemas["Stats"]} JobCounts the number of jobs by status */
/** @typedef {Schemas["JobSummary"]} JobSummary a job in a list */
/** @typedef {Schemas["Page"]} JobsPage one page of jobs, newest first */

/** @typedef {Schemas["Summary"]} JobsSummary the totals of all jobs that match filters */

/** @typedef {NonNullable<import("../declarations/openapi.js").operations["listJobs"]["parameters"]["query"]>} ListParameters */
/** @typedef {Omit<ListParameters, "cursor" | "limit">} JobsFilters which jobs: those that match all filters */
/** @typedef {JobsFilters & { limit?: number, cursor?: string | null }} JobsQuery filters, and a page; `cursor` is the `nextCursor` of the page before */

/**
 * The state of the client's connection. `via` is the name of the transport in use.
 *
 * @typedef {object} Connection
 * @property {"idle" | "connecting" | "live" | "waiting" | "refused" | "closed"} state
 *   `idle`: nothing is tracked yet; `connecting`: at the start and after a loss; `waiting`: the gateway did not answer
 *   within 5 s, or no transport works, and the client retries; `refused`: the client does not retry before `reconnect`
 *   is called
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

/** @typedef {{ auth: { token: string | undefined }, transports: ("websocket" | "polling")[], upgrade: false, reconnection: false, forceNew: true }} IoOptions */

/**
 * The part of a Socket.IO client's socket that is used here.
 *
 * @typedef {{
 *   on(event: string, listener: (...values: never[]) => void): unknown,
 *   off(): unknown,
 *   emit(event: string, ...values: unknown[]): unknown,
 *   disconnect(): unknown,
 * }} IoSocket
 */

/** @typedef {(url: string, options: IoOptions) => IoSocket} Io `io` of socket.io-client */

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
