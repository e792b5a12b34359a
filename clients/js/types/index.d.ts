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
export type Buys = import("./outcome.js").Buys;
export type CancelRequested = import("./types.js").CancelRequested;
export type Connection = import("./types.js").Connection;
export type CreatedJob = import("./types.js").CreatedJob;
export type Delivery = import("./listeners.js").Delivery;
export type Details = import("./types.js").Details;
export type ErrorCode = import("./errors.js").ErrorCode;
export type Gap = import("./listeners.js").Gap;
export type JobCounts = import("./types.js").JobCounts;
export type JobStatus = import("./types.js").JobStatus;
export type JobSummary = import("./types.js").JobSummary;
export type JobView = import("./job.js").JobView;
export type JobsFilters = import("./types.js").JobsFilters;
export type JobsPage = import("./types.js").JobsPage;
export type JobsQuery = import("./types.js").JobsQuery;
export type JobsSummary = import("./types.js").JobsSummary;
export type OperationRequest = import("./types.js").OperationRequest;
export type OperationResult = import("./types.js").OperationResult;
export type Options = import("./client.js").Options;
export type Outcome = import("./types.js").Outcome;
export type ProgressEvent = import("./types.js").ProgressEvent;
export type Snapshot = import("./tracker.js").Snapshot;
export type Stats = import("./stats.js").Stats;
export type StepResult = import("./types.js").StepResult;
export type Storage = import("./event-cache.js").Storage;
export type Timeline = import("./timeline.js").Timeline;
export type Tracker = import("./tracker.js").Tracker;
export type WalletResult = import("./types.js").WalletResult;
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
