// One run of an operation: its state, its wallets, and everything that is known about it.
import { html, useEffect } from "/static/third_party/preact.js";
import { AuditSection } from "/static/console/audit/section.js";
import { duration } from "/static/console/format.js";
import { hasEnded, displayState } from "/static/console/outcome.js";
import { Events } from "/static/console/operation/events.js";
import { useJob } from "/static/console/operation/job.js";
import { Parameters, RawJson } from "/static/console/operation/parameters.js";
import { requestOf } from "/static/console/operation/request.js";
import { Summary } from "/static/console/operation/summary.js";
import { runOf } from "/static/console/operation/wallet-rows.js";
import { Wallets } from "/static/console/operation/wallets.js";
import { T } from "/static/console/texts.js";
import { Failure, Loading, errorText } from "/static/console/ui.js";

const X = T.operation;
const NO_RESOLUTIONS = [];

/**
 * Return a run as it is shown, or `{ error }`; `{ loadError }` while it loads. `replayMs`: null, or the time since the start at which it is
 * shown. `onEnd` gets `{ durationMs, request }` of a run that has ended; `request` has the values of the start dialog.
 */
export function useRun(session, jobId, replayMs, onEnd) {
  const { job, status, nowMs: liveMs, loadError } = useJob(session, jobId);
  const { latest: last, events: all, ended, error } = job;
  const from = all[0]?.timestamp;
  useEffect(() => { if (ended) onEnd(jobId, { durationMs: last.timestamp - from, request: requestOf(all) }); }, [ended]);
  if (error) return { error: error.code === "job_not_found" ? { ...error, message: X.notFound } : error };
  if (!last) return { loadError };
  const isReplay = replayMs !== null;
  const nowMs = isReplay ? Math.min(from + replayMs, last.timestamp) : liveMs;
  const events = isReplay ? all.filter(({ timestamp }) => timestamp <= nowMs) : all;
  const latest = events.at(-1);
  const current = hasEnded(latest) ? status : null; // what is known since the end
  const resolutions = current?.resolutions ?? NO_RESOLUTIONS;
  return {
    jobId, first: all[0], last, latest, events, from, nowMs, isReplay, resolutions, needsReview: current?.needsReview,
    run: runOf(events, resolutions), lengthMs: (isReplay ? last.timestamp : nowMs) - from,
  };
}

/** The placeholder of a run that loads, or that cannot be shown. */
export function NoRun({ view: { error, loadError } }) {
  if (error) return html`<${Failure} error=${error} />`;
  return loadError ? html`<div class="placeholder failure" role="alert"><p>${X.loadErrors[loadError.code] ?? X.loadError(errorText(loadError))}</p></div>` : html`<${Loading} />`;
}

/** `marked`: the address of a wallet that is shown first. */
export function Run({ session, jobId, replayMs, onEnd, marked }) {
  const view = useRun(session, jobId, replayMs, onEnd);
  const { first, last, latest, events, from, nowMs, needsReview, run, lengthMs } = view;
  if (!run) return html`<${NoRun} view=${view} />`;
  return html`<article class="run" data-state=${displayState(latest, needsReview).kind}>
    <${Summary} session=${session} view=${view} />
    <section class="panel"><h3>${X.wallets}</h3>
      <${Phases} run=${run} nowMs=${nowMs} />
      <${Wallets} run=${run} nowMs=${nowMs} axisMs=${Math.max(1, lengthMs)} marked=${marked} /></section>
    <${Parameters} first=${first} latest=${last} />
    <${Events} events=${events} from=${from} wallets=${run.wallets} isComplete=${first.seq === 1} />
    ${session.isOperator && html`<${AuditSection} session=${session} jobId=${jobId} version=${last.seq} />`}
    <${RawJson} session=${session} jobId=${jobId} version=${last.seq} /></article>`;
}

/** The phases in order, with the duration of each. */
const Phases = ({ run: { phases }, nowMs }) => html`<ol class="phases" aria-label=${X.phases}>${phases.filter(({ phase }) => phase < 5).map(({ phase, from, to }) => html`
  <li aria-current=${to === null ? "step" : undefined}>${(to === null ? X.currentPhases : X.phaseNames)[phase]} <span class="soft number">${duration((to ?? nowMs) - from)}</span></li>`)}</ol>`;
