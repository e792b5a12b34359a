// The operations that this page has asked the gateway to cancel. They end when their orders in flight have ended.
import { Observable, useObservable } from "/static/console/observable.js";

const requested = new Observable(new Set());

export const addCancellation = (jobId) => requested.set(new Set([...requested.value, jobId]));

/** Return whether this page has requested the cancellation of an operation. */
export const useIsCancelling = (jobId) => useObservable(requested).has(jobId);
