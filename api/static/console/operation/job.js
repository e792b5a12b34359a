// One operation with all its events, live, and whether it needs review now.
import { useEffect, useReducer, useRef, useState } from "/static/third_party/preact.js";
import { isTransient } from "/client/errors.js";
import { useNow } from "/static/console/observable.js";

const REDRAW_MS = 250; // while steps are in flight
const LOAD_ERROR_MS = 2_000; // interval of the status requests while no event has arrived

/**
 * Return `{ job, status, nowMs, loadError }`: its view, its status response once it has ended, the gateway's time, and the
 * error for which the first event cannot be loaded at present, or null.
 */
export function useJob(session, jobId) {
  const tracker = useRef(null);
  const clockOffsetMs = useRef(Infinity); // what to add to this clock to get that of the events' timestamps
  const [, redraw] = useReducer((count) => count + 1, 0);
  useEffect(() => {
    const created = session.client.track(jobId);
    tracker.current = created;
    created.onChange(redraw);
    created.onProgress(({ timestamp }, { restored }) => {
      if (!restored) clockOffsetMs.current = Math.min(clockOffsetMs.current, timestamp - Date.now());
    });
    return () => created.close();
  }, [session, jobId]);
  const job = tracker.current?.job() ?? { latest: null, events: [], ended: false, error: null };
  const status = useStatus(session, jobId, job.ended);
  const loadError = useLoadError(session, jobId, !job.latest && !job.error);
  useNow(job.ended || job.error ? 0 : REDRAW_MS);
  const offsetMs = Number.isFinite(clockOffsetMs.current) ? clockOffsetMs.current : 0;
  const nowMs = job.ended ? job.latest.timestamp : Math.max(job.latest?.timestamp ?? 0, Date.now() + offsetMs);
  return { job, status, nowMs, loadError };
}

/** Return the status response of an ended operation, or null. An operator may have resolved it since its last event. */
function useStatus(session, jobId, ended) {
  const [status, setStatus] = useState(null);
  useEffect(() => {
    let isCurrent = true;
    if (ended) session.client.status(jobId).then((data) => { if (isCurrent) setStatus(data); }, () => {});
    return () => { isCurrent = false; };
  }, [session, jobId, ended]);
  return status;
}

/** Return the error of the operation's status while `isPending`, or null. The tracker repeats its own request, and reports no such error. */
function useLoadError(session, jobId, isPending) {
  const [loadError, setLoadError] = useState(null);
  useEffect(() => {
    let isCurrent = true;
    const set = (error) => { if (isCurrent) setLoadError(error); };
    const request = () => session.rest.request("GET", `/api/cto/job/${jobId}/status`).then(() => set(null), (error) => set(isTransient(error) ? error : null));
    const timer = isPending && setInterval(request, LOAD_ERROR_MS);
    return () => {
      isCurrent = false;
      clearInterval(timer);
      setLoadError(null);
    };
  }, [session, jobId, isPending]);
  return loadError;
}
