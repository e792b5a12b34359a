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
    left: number;
};
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./types.js").Outcome} Outcome */
/**
 * How many of an operation's planned buys ended in which way so far. `left`: not made, or not yet.
 *
 * @typedef {object} Buys
 * @property {number} planned 0 before there is a plan
 * @property {number} bought
 * @property {number} failed
 * @property {number} unknown
 * @property {number} left
 */
/**
 * What a job came to: null until it ends. Final events written by gateways without outcomes have counts only, from which
 * it is derived; null if there are none.
 *
 * @param {ProgressEvent | null} latest
 * @returns {Outcome | null}
 */
export declare function outcomeOf(latest: ProgressEvent | null): Outcome | null;
/**
 * Whether an operator had to look at a job when it ended. Status and list responses say whether that is still so.
 *
 * @param {ProgressEvent | null} latest
 */
export declare const neededReview: (latest: ProgressEvent | null) => boolean;
/**
 * The planned buys by result.
 *
 * @param {ProgressEvent | null} latest
 * @returns {Buys}
 */
export declare function buysOf(latest: ProgressEvent | null): Buys;
