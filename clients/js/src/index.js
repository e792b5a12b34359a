/**
 * Live progress of CTO operations.
 *
 * @module
 */

export { Client, connect } from "./client.js";
export { CTOError } from "./errors.js";
export { buysOf, neededReview, outcomeOf } from "./outcome.js";
export { statsOf } from "./stats.js";
export { timeline } from "./timeline.js";
export { claimsOf } from "./token.js";

/** @typedef {import("./outcome.js").Buys} Buys */
/** @typedef {import("./types.js").CancelRequested} CancelRequested */
/** @typedef {import("./types.js").Connection} Connection */
/** @typedef {import("./types.js").CreatedJob} CreatedJob */
/** @typedef {import("./listeners.js").Delivery} Delivery */
/** @typedef {import("./types.js").Details} Details */
/** @typedef {import("./errors.js").ErrorCode} ErrorCode */
/** @typedef {import("./listeners.js").Gap} Gap */
/** @typedef {import("./types.js").JobCounts} JobCounts */
/** @typedef {import("./types.js").JobStatus} JobStatus */
/** @typedef {import("./types.js").JobSummary} JobSummary */
/** @typedef {import("./job.js").JobView} JobView */
/** @typedef {import("./types.js").JobsFilters} JobsFilters */
/** @typedef {import("./types.js").JobsPage} JobsPage */
/** @typedef {import("./types.js").JobsQuery} JobsQuery */
/** @typedef {import("./types.js").JobsSummary} JobsSummary */
/** @typedef {import("./types.js").OperationRequest} OperationRequest */
/** @typedef {import("./types.js").OperationResult} OperationResult */
/** @typedef {import("./client.js").Options} Options */
/** @typedef {import("./types.js").Outcome} Outcome */
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./tracker.js").Snapshot} Snapshot */
/** @typedef {import("./stats.js").Stats} Stats */
/** @typedef {import("./types.js").StepResult} StepResult */
/** @typedef {import("./event-cache.js").Storage} Storage */
/** @typedef {import("./timeline.js").Timeline} Timeline */
/** @typedef {import("./tracker.js").Tracker} Tracker */
/** @typedef {import("./types.js").WalletResult} WalletResult */
