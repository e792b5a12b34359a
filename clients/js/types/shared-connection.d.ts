export type LinkMessage = import("./connection-manager.js").LinkMessage;
export type ConnectionManager = import("./connection-manager.js").ConnectionManager;
/** @typedef {import("./connection-manager.js").LinkMessage} LinkMessage */
/** @typedef {import("./connection-manager.js").ConnectionManager} ConnectionManager */
/** Whether this browser can share a connection among tabs. */
export declare const canShare: () => LockManager;
/**
 * One connection for all tabs of an origin. The tab that holds the lock leads: it has the connection, does what the
 * others ask for, and tells all of them what comes. When it goes, the browser gives the lock to the next one, whose
 * connection opens; then every tab asks anew for everything. A leader that does not answer is frozen, and deposed.
 */
export declare class SharedConnection {
    #private;
    isOpen: boolean;
    /**
     * @param {string} name the same for all tabs that share: one gateway and one user
     * @param {(tell: (...told: LinkMessage) => void) => ConnectionManager} createManager
     * @param {(...told: LinkMessage) => void} tell
     */
    constructor(name: string, createManager: (tell: (...told: LinkMessage) => void) => ConnectionManager, tell: (...told: LinkMessage) => void);
    /** @param {import("./types.js").ClientCommand} asked */
    ask(...asked: import("./types.js").ClientCommand): void;
    reconnect(): void;
    close(): void;
}
