// A value that components observe.
import { useEffect, useState } from "/static/third_party/preact.js";

/** A value with listeners. */
export class Observable {
  #value;
  #listeners = new Set();

  constructor(value) {
    this.#value = value;
  }

  get value() {
    return this.#value;
  }

  set(value) {
    if (value === this.#value) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener(value);
  }

  /** Call a function with each new value. Returns a function that stops this. */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** Return the value of an observable, and draw the component again when it changes. */
export function useObservable(observable) {
  const [, setValue] = useState(observable.value);
  useEffect(() => {
    setValue(observable.value);
    return observable.subscribe(setValue);
  }, [observable]);
  return observable.value;
}

/** Return whether `isOn` has been true for this long. */
export function useDelay(isOn, delayMs) {
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    const timer = isOn && setTimeout(() => setOver(true), delayMs);
    return () => {
      clearTimeout(timer);
      setOver(false);
    };
  }, [isOn, delayMs]);
  return isOn && isOver;
}

/** Return the current time in ms, and draw the component again at each interval while the page is visible. */
export function useNow(intervalMs = 1_000) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = intervalMs && setInterval(() => { if (!document.hidden) setNow(Date.now()); }, intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs]);
  return intervalMs ? now : Date.now();
}

/**
 * Load data when the component appears and when `key` changes, and again after each interval, if there is one.
 * Returns `{ data, error, isLoading, reload }`. After an error, `data` is that of the last success.
 */
export function useRequest(load, key, intervalMs = 0) {
  const [state, setState] = useState({ data: null, error: null, isLoading: true, key });
  const [round, setRound] = useState(0);
  useEffect(() => {
    let isCurrent = true;
    const update = (change) => { if (isCurrent) setState((before) => ({ ...before, isLoading: false, key, ...change })); };
    const run = () => load().then((data) => update({ data, error: null }), (error) => update({ error }));
    void run();
    const timer = intervalMs && setInterval(() => { if (!document.hidden) void run(); }, intervalMs);
    return () => {
      isCurrent = false;
      clearInterval(timer);
    };
  }, [key, round]);
  const isOfKey = state.key === key;
  return {
    data: isOfKey ? state.data : null, error: isOfKey ? state.error : null, isLoading: state.isLoading || !isOfKey,
    reload: () => {
      setState((before) => ({ ...before, isLoading: true }));
      setRound((before) => before + 1);
    },
  };
}
