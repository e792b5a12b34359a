export type ConnectionMessage = import("./connection-manager.js").ConnectionMessage;
export type ConnectionManager = import("./connection-manager.js").ConnectionManager;
/** @typedef {import("./connection-manager.js").ConnectionMessage} ConnectionMessage */
/** @typedef {import("./connection-manager.js").ConnectionManager} ConnectionManager */
/** Return whether this browser can share a connection between tabs. */
export declare const canShare: () => LockManager;
/**
 * One connection for all tabs of an origin. The tab that holds the lock is the leader. It has the connection, carries out the
 * commands of the other tabs, and forwards every message to them. When the leader closes, the browser gives the lock to
 * another tab, which opens a connection; then every tab repeats its commands. If the leader does not answer pings, it is
 * frozen, and another tab takes over.
 */
export declare class SharedConnection {
    #private;
    isOpen: boolean;
    /**
     * @param {string} name the same for all tabs that share a connection: they have one gateway and one user
     * @param {(emit: (...message: ConnectionMessage) => void) => ConnectionManager} createManager
     * @param {(...message: ConnectionMessage) => void} emit
     */
    constructor(name: string, createManager: (emit: (...message: ConnectionMessage) => void) => ConnectionManager, emit: (...message: ConnectionMessage) => void);
    /** @param {import("./types.js").ClientCommand} command */
    send(...command: import("./types.js").ClientCommand): void;
    reconnect(): void;
    close(): void;
}
