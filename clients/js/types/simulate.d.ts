import { Client } from "./client.js";
export type ProgressEvent = import("./types.js").ProgressEvent;
export type OperationRequest = import("./types.js").OperationRequest;
export type SimulatedStep = {
    kind: "transfer" | "buy";
    wallet: string;
};
export type Simulation = {
    /**
     * 2: twice as fast as the paper market
     */
    speed?: number;
    /**
     * share of buys that fail, 0–1
     */
    failureRate?: number;
    /**
     * share of buys whose result stays unknown, 0–1
     */
    unknownRate?: number;
    /**
     * owner of the jobs that are tracked without having been submitted
     */
    userId?: string;
    /**
     * the same seed gives the same events
     */
    seed?: number;
};
/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {import("./types.js").OperationRequest} OperationRequest */
/** @typedef {{ kind: "transfer" | "buy", wallet: string }} SimulatedStep */
/**
 * @typedef {object} Simulation
 * @property {number} [speed] 2: twice as fast as the paper market
 * @property {number} [failureRate] share of buys that fail, 0–1
 * @property {number} [unknownRate] share of buys whose result stays unknown, 0–1
 * @property {string} [userId] owner of the jobs that are tracked without having been submitted
 * @property {number} [seed] the same seed gives the same events
 */
/**
 * Create a client that simulates operations without a gateway. It sends the events of real operations, in the same order
 * and at the same speed. Tracking an unknown job id starts a job; `submit`, `cancel`, `jobs`, `summary` and `stats` work.
 *
 * @param {Simulation} [simulation]
 */
export declare function simulate({ speed, failureRate, unknownRate, userId, seed }?: Simulation): Client;
