export type LinkTold = import("./types.js").Told | ["opened"] | ["connection", import("./types.js").Connection];
/** @typedef {import("./types.js").Told | ["opened"] | ["connection", import("./types.js").Connection]} LinkTold */
/**
 * Keeps one connection open, by the highest rung that works: steps down when one fails, and tries those above again
 * and again. Whoever uses it asks anew for everything whenever it has `opened`; so nothing is lost in between.
 */
export declare class Ladder {
    #private;
    isOpen: boolean;
    /**
     * @param {readonly import("./types.js").Rung[]} rungs the best first
     * @param {import("./rest.js").Rest} rest
     * @param {(...told: LinkTold) => void} tell
     */
    constructor(rungs: readonly import("./types.js").Rung[], rest: import("./rest.js").Rest, tell: (...told: LinkTold) => void);
    /** @param {import("./types.js").Asked} asked */
    ask(...[verb, ...about]: import("./types.js").Asked): void;
    /** Open a new connection now, also after a refusal: that there is none, or that it is dead, is not always noticed. */
    reconnect: () => void;
    close(): void;
}
