/**
 * A state that hooks and composables show. Every change makes a new object.
 *
 * @template {object} State
 */
export class Observable {
  /** @type {Set<() => void>} */ #listeners = new Set();
  /** @type {State} */ state;

  /** @param {State} state */
  constructor(state) {
    this.state = state;
  }

  /** Listen to changes. Returns a function that unsubscribes. @param {() => void} listener */
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Return the current state. */
  read = () => this.state;

  /** Change some fields. @param {Partial<State>} changes */
  set(changes) {
    this.state = { ...this.state, ...changes };
    for (const listener of [...this.#listeners]) listener();
  }
}
