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
export type ProgressEvent = import("./types.js").ProgressEvent;
export type Details = import("./types.js").Details;
export type StepResult = import("./types.js").StepResult;
export type Outcome = import("./types.js").Outcome;
export type Buys = import("./outcome.js").Buys;
export type OperationRequest = import("./types.js").OperationRequest;
export type Connection = import("./types.js").Connection;
export type Tracker = import("./tracker.js").Tracker;
export type JobView = import("./job.js").JobView;
export type Snapshot = import("./tracker.js").Snapshot;
export type Options = import("./client.js").Options;
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
