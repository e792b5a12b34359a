export type ConnectionMessage = import("./types.js").ServerMessage | ["opened" | "left"] | ["connection", import("./types.js").Connection];
/** @typedef {import("./types.js").ServerMessage | ["opened" | "left"] | ["connection", import("./types.js").Connection]} ConnectionMessage */
/**
 * Keeps one connection open with the best transport that works. If a transport fails, it tries the next one, and later
 * the better ones again. After each `opened` message the code that uses this class must send all commands again,
 * so that no event is lost. After each `left` message the connection is in one room less.
 */
export declare class ConnectionManager {
    #private;
    isOpen: boolean;
    /**
     * @param {readonly import("./types.js").Transport[]} transports the best one first
     * @param {import("./rest.js").Rest} rest
     * @param {(...message: ConnectionMessage) => void} emit
     */
    constructor(transports: readonly import("./types.js").Transport[], rest: import("./rest.js").Rest, emit: (...message: ConnectionMessage) => void);
    /** Send a command, if the connection is open. @param {import("./types.js").ClientCommand} command */
    send(...[name, ...args]: import("./types.js").ClientCommand): void;
    /** Open a new connection now, also after a refusal. The old one may be dead although no error was reported. */
    reconnect: () => void;
    close(): void;
}
