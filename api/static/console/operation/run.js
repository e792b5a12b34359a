// One run of an operation: its state, its wallets, and everything that is known about it.
import { html, useEffect, useState } from "/static/third_party/preact.js";
import { duration } from "/static/console/format.js";
import { hasEnded, displayState, buyParts } from "/static/console/outcome.js";
import { Events } from "/static/console/operation/events.js";
import { useJob } from "/static/console/operation/job.js";
import { Parameters, RawJson } from "/static/console/operation/parameters.js";
import { runOf } from "/static/console/operation/wallet-rows.js";
import { stepText, Waterfall } from "/static/console/operation/waterfall.js";
import { CancelDialog } from "/static/console/operations/bulk-cancel.js";
import { T } from "/static/console/texts.js";
import { Address, Badge, Failure, Icon, Loading, Sol, Time } from "/static/console/ui.js";

const X = T.operation;

/**
 * `replayMs`: null, or the time since the start at which the run is shown. `axisMs`: the duration of its chart, or null for its
 * own. `onDuration` gets the duration of a run that has ended, `onRequest` the values with which the start dialog repeats it.
 */
export function Run({ session, jobId, replayMs, axisMs, onDuration, onRequest }) {
  const { job, status, nowMs: liveMs } = useJob(session, jobId);
  const { latest: last, events: all } = job;
  const from = all[0]?.timestamp;
  useEffect(() => { if (job.ended) onDuration(jobId, last.timestamp - from); }, [job.ended]);
  useEffect(() => { if (job.ended) onRequest?.(requestOf(all)); }, [job.ended]);
  if (job.error) return html`<${Failure} error=${job.error.code === "job_not_found" ? { ...job.error, message: X.notFound } : job.error} />`;
  if (!last) return html`<${Loading} />`;

  const isReplay = replayMs !== null;
  const nowMs = isReplay ? Math.min(from + replayMs, last.timestamp) : liveMs;
  const events = isReplay ? all.filter(({ timestamp }) => timestamp <= nowMs) : all;
  const latest = events.at(-1);
  const run = runOf(events);
  const needsReview = hasEnded(latest) ? status?.needsReview : undefined;
  return html`<article class="run" data-state=${displayState(latest, needsReview).kind}>
    <${Summary} session=${session} latest=${latest} from=${from} nowMs=${nowMs} needsReview=${needsReview} isReplay=${isReplay} />
    <section class="panel"><h3>${X.wallets}</h3>
      <${Phases} run=${run} nowMs=${nowMs} />
      <${Failures} wallets=${run.wallets} />
      <${Waterfall} run=${run} nowMs=${nowMs} axisMs=${Math.max(1, axisMs ?? (isReplay ? last.timestamp : nowMs) - from)} /></section>
    <${Parameters} first=${all[0]} latest=${last} />
    <${Events} events=${events} from=${from} isComplete=${all[0].seq === 1} />
    <${RawJson} session=${session} jobId=${jobId} version=${last.seq} /></article>`;
}

/** Return the values of the start dialog for a run with these events. The slippage is not known from them. */
function requestOf(events) {
  const { tokenAddress, mode, buyAmount, platform, userId, userChatId } = events[0];
  const wallets = events.find(({ details }) => details?.plannedWallets)?.details.plannedWallets;
  const values = { tokenAddress, mode, buyAmount, userId, userChatId, platform: platform === "unknown" ? "" : platform, ...(wallets && { walletCount: wallets.length }) };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

function Summary({ session, latest, from, nowMs, needsReview, isReplay }) {
  const [isCancelling, setCancelling] = useState(false);
  const { jobId, details = {}, progress, phaseTitle } = latest;
  const state = displayState(latest, needsReview);
  const ended = hasEnded(latest);
  const { bought, planned } = buyParts(latest);
  const leftMs = details.estimatedTimeRemaining;
  return html`<header class="summary">
    <div class="headline"><${Badge} state=${state} />
      <h2 class="run-title"><${Address} text=${latest.tokenAddress} target=${T.targets.token} keep=${6} /></h2>
      ${!ended && !isReplay && html`<button class="danger" type="button" onClick=${() => setCancelling(true)}>${T.cancel.button}</button>`}</div>
    <p class="facts">
      ${planned > 0 && html`<span>${X.summary(bought, planned)}</span>`}
      ${details.totalSpent > 0 && html`<span><${Sol} amount=${details.totalSpent} unit /> ${T.list.columns.spent.toLowerCase()}</span>`}
      <span class="number">${(ended ? X.took : X.since)(duration(nowMs - from))}</span>
      <span><${Time} ms=${from} nowMs=${isReplay ? nowMs : Date.now()} relative=${!isReplay} /></span></p>
    ${!ended && html`<p class="now"><span class="progress" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(progress)} aria-label=${phaseTitle}>
      <i style=${{ transform: `scaleX(${progress / 100})` }}></i></span> <span>${details.currentOperation ?? phaseTitle}</span>
      ${leftMs !== undefined && html`<span class="soft number">${X.remaining(Math.ceil(leftMs / 1_000))}</span>`}</p>`}
    ${details.error && html`<p class="error">${details.error} <code>${details.errorCode}</code></p>`}
    ${state.kind === "review" && html`<p class="note">${X.review} <a href="/review">${X.reviewLink}</a></p>`}
    ${state.kind === "reviewed" && html`<p class="note">${X.reviewed}</p>`}
    ${isCancelling && !ended && html`<${CancelDialog} session=${session} jobIds=${[jobId]} onClose=${() => setCancelling(false)} />`}</header>`;
}

/** The phases in order, with the duration of each. */
const Phases = ({ run: { phases }, nowMs }) => html`<ol class="phases" aria-label=${X.phases}>${phases.filter(({ phase }) => phase < 5).map(({ phase, from, to }) => html`
  <li aria-current=${to === null ? "step" : undefined}>${(to === null ? X.currentPhases : X.phaseNames)[phase]} <span class="soft number">${duration((to ?? nowMs) - from)}</span></li>`)}</ol>`;

/** The failures, grouped by step and reason: the answer to "which wallets failed, and why". */
function Failures({ wallets }) {
  const groups = new Map();
  for (const { result, reason } of wallets) {
    if (result.failedKind) {
      const text = stepText(result);
      const key = `${text} ${reason?.text}`;
      groups.set(key, { text, result: result.result, reason: reason?.text, count: (groups.get(key)?.count ?? 0) + 1 });
    }
  }
  return groups.size > 0 && html`<ul class="failures">${[...groups].map(([key, { text, result, reason, count }]) => html`
    <li key=${key} data-result=${result}><span class="result"><${Icon} kind=${result} />${X.failures(count, text, reason)}</span></li>`)}</ul>`;
}
