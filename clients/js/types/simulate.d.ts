import { Client } from "./client.js";
export type ProgressEvent = import("./types.js").ProgressEvent;
export type OperationRequest = import("./types.js").OperationRequest;
export type Simulation = {
    /**
     * 2 plays twice as fast as the paper market
     */
    speed?: number;
    /**
     * part of the buys that fail, 0–1
     */
    failureRate?: number;
    /**
     * part of the buys whose result stays unknown, 0–1
     */
    unknownRate?: number;
    /**
     * whose the jobs are that a page tracks without having started them
     */
    userId?: string;
    /**
     * the same seed plays the same story
     */
    seed?: number;
};
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./types.js").OperationRequest} OperationRequest */
/**
 * @typedef {object} Simulation
 * @property {number} [speed] 2 plays twice as fast as the paper market
 * @property {number} [failureRate] part of the buys that fail, 0–1
 * @property {number} [unknownRate] part of the buys whose result stays unknown, 0–1
 * @property {string} [userId] whose the jobs are that a page tracks without having started them
 * @property {number} [seed] the same seed plays the same story
 */
/**
 * A client that plays operations by itself, without a gateway: the same events, in the same order, as fast as real ones
 * come. Whatever job is tracked, it is played; `submit`, `cancel`, `jobs` and `stats` work.
 *
 * @param {Simulation} [simulation]
 */
export declare function simulate({ speed, failureRate, unknownRate, userId, seed }?: Simulation): Client;
