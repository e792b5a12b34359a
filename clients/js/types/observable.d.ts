/**
 * A state that hooks and composables show. Every change makes a new object.
 *
 * @template {object} State
 */
export declare class Observable<State extends object> {
    #private;
    /** @type {State} */ state: State;
    /** @param {State} state */
    constructor(state: State);
    /** Listen to changes. Returns a function that unsubscribes. @param {() => void} listener */
    subscribe: (listener: () => void) => () => undefined;
    /** Return the current state. */
    read: () => State;
    /** Change some fields. @param {Partial<State>} changes */
    set(changes: Partial<State>): void;
}
