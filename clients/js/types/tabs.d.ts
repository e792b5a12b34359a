export type LinkTold = import("./ladder.js").LinkTold;
export type Ladder = import("./ladder.js").Ladder;
/** @typedef {import("./ladder.js").LinkTold} LinkTold */
/** @typedef {import("./ladder.js").Ladder} Ladder */
/** Whether this browser can share a connection among tabs. */
export declare const canShare: () => LockManager;
/**
 * One connection for all tabs of an origin. The tab that holds the lock leads: it has the connection, does what the
 * others ask for, and tells all of them what comes. When it goes, the browser gives the lock to the next one, whose
 * connection opens; then every tab asks anew for everything. A leader that does not answer is frozen, and deposed.
 */
export declare class Tabs {
    #private;
    isOpen: boolean;
    /**
     * @param {string} name the same for all tabs that share: one gateway and one user
     * @param {(tell: (...told: LinkTold) => void) => Ladder} climb
     * @param {(...told: LinkTold) => void} tell
     */
    constructor(name: string, climb: (tell: (...told: LinkTold) => void) => Ladder, tell: (...told: LinkTold) => void);
    /** @param {import("./types.js").Asked} asked */
    ask(...asked: import("./types.js").Asked): void;
    reconnect(): void;
    close(): void;
}
