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

/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./types.js").Details} Details */
/** @typedef {import("./types.js").StepResult} StepResult */
/** @typedef {import("./types.js").Outcome} Outcome */
/** @typedef {import("./outcome.js").Buys} Buys */
/** @typedef {import("./types.js").OperationRequest} OperationRequest */
/** @typedef {import("./types.js").Connection} Connection */
/** @typedef {import("./tracker.js").Tracker} Tracker */
/** @typedef {import("./job.js").JobView} JobView */
/** @typedef {import("./tracker.js").Snapshot} Snapshot */
/** @typedef {import("./client.js").Options} Options */
