/** @typedef {import("./types.js").ProgressEvent} ProgressEvent */
/** @typedef {{ restored: boolean }} Delivery `restored`: the page had received this event before it was reloaded */
/** @typedef {{ jobId: string, after: number, oldestSeq: number }} Gap the events after `after` and before `oldestSeq` have expired */

/**
 * The listener of each event of a tracker.
 *
 * @typedef {object} ListenerTypes
 * @property {(event: ProgressEvent, delivery: Delivery) => void} progress
 * @property {(event: ProgressEvent, delivery: Delivery) => void} complete
 * @property {(gap: Gap) => void} gap
 * @property {(error: import("./errors.js").CTOError, jobId?: string) => void} error
 * @property {() => void} change
 */

/** The listeners of a tracker, by the name of their event. */
export class Listeners {
  /** @type {Partial<Record<keyof ListenerTypes, Set<any>>>} */ #sets = {};

  /**
   * Add a listener. Returns a function that removes it.
   *
   * @template {keyof ListenerTypes} K
   * @param {K} name
   * @param {ListenerTypes[K]} listener
   */
  add(name, listener) {
    const listeners = this.#sets[name] ??= new Set();
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /**
   * Call the listeners. An error in one is reported, and does not affect the others.
   *
   * @template {keyof ListenerTypes} K
   * @param {K} name
   * @param {Parameters<ListenerTypes[K]>} args
   */
  emit(name, ...args) {
    for (const listener of [...this.#sets[name] ?? []]) {
      try {
        listener(...args);
      } catch (error) {
        queueMicrotask(() => { throw error; });
      }
    }
  }

  clear() {
    this.#sets = {};
  }
}
