export type LinkMessage = import("./types.js").ServerMessage | ["opened"] | ["connection", import("./types.js").Connection];
/** @typedef {import("./types.js").ServerMessage | ["opened"] | ["connection", import("./types.js").Connection]} LinkMessage */
/**
 * Keeps one connection open, by the highest transport that works: steps down when one fails, and tries those above again
 * and again. Whoever uses it asks anew for everything whenever it has `opened`; so nothing is lost in between.
 */
export declare class ConnectionManager {
    #private;
    isOpen: boolean;
    /**
     * @param {readonly import("./types.js").Transport[]} transports the best first
     * @param {import("./rest.js").Rest} rest
     * @param {(...told: LinkMessage) => void} tell
     */
    constructor(transports: readonly import("./types.js").Transport[], rest: import("./rest.js").Rest, tell: (...told: LinkMessage) => void);
    /** @param {import("./types.js").ClientCommand} asked */
    ask(...[verb, ...about]: import("./types.js").ClientCommand): void;
    /** Open a new connection now, also after a refusal: that there is none, or that it is dead, is not always noticed. */
    reconnect: () => void;
    close(): void;
}
