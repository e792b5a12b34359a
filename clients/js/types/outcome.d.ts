export type ProgressEvent = import("./types.js").ProgressEvent;
export type Outcome = import("./types.js").Outcome;
export type Buys = {
    /**
     * 0 before there is a plan
     */
    planned: number;
    bought: number;
    failed: number;
    unknown: number;
    /**
     * buys that were not made, or not yet
     */
    left: number;
};
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./types.js").Outcome} Outcome */
/**
 * The planned buys of an operation, counted by result.
 *
 * @typedef {object} Buys
 * @property {number} planned 0 before there is a plan
 * @property {number} bought
 * @property {number} failed
 * @property {number} unknown
 * @property {number} left buys that were not made, or not yet
 */
/**
 * Return the outcome of a job; null until it ends. Older gateways send final events without `outcome`: it is then derived
 * from the counts, and is null if there are no counts.
 *
 * @param {ProgressEvent | null} latest
 * @returns {Outcome | null}
 */
export declare function outcomeOf(latest: ProgressEvent | null): Outcome | null;
/**
 * Return whether an operator had to review a job when it ended. Status and list responses contain the current value.
 *
 * @param {ProgressEvent | null} latest
 */
export declare const neededReview: (latest: ProgressEvent | null) => boolean;
/**
 * Count the planned buys by result.
 *
 * @param {ProgressEvent | null} latest
 * @returns {Buys}
 */
export declare function buysOf(latest: ProgressEvent | null): Buys;
