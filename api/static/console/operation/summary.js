// The state of a run in a few lines.
import { html, useState } from "/static/third_party/preact.js";
import { duration, exactSol, shortId } from "/static/console/format.js";
import { buyParts, displayState, hasEnded } from "/static/console/outcome.js";
import { CancelDialog } from "/static/console/operations/bulk-cancel.js";
import { useIsCancelling } from "/static/console/operations/cancellations.js";
import { operationPath } from "/static/console/router.js";
import { T } from "/static/console/texts.js";
import { Address, Badge, Copy, LiveTime, Sol, Time } from "/static/console/ui.js";

const X = T.operation;

/** `view` is that of `useRun`. `isLinked`: the id is a link to the operation's own page. */
export function Summary({ session, view: { jobId, latest, from, nowMs, needsReview, isReplay, resolutions }, isLinked = false }) {
  const [isAsking, setAsking] = useState(false); // whether to cancel
  const isCancelling = useIsCancelling(jobId);
  const { details = {}, progress, phaseTitle } = latest;
  const state = displayState(latest, needsReview, isCancelling && !isReplay);
  const ended = hasEnded(latest);
  const leftMs = details.estimatedTimeRemaining;
  const id = isLinked ? html`<a class="mono" href=${operationPath(jobId)} title=${jobId}>${shortId(jobId)}</a>` : html`<span class="mono run-id">${jobId}</span>`;
  return html`<header class="summary">
    <div class="headline"><${Badge} state=${state} />
      <h2 class="run-title"><${Address} text=${latest.tokenAddress} target=${T.targets.token} keep=${6} /></h2>
      <span class="address">${id}<${Copy} text=${jobId} target=${T.targets.id} /></span>
      ${!ended && !isReplay && html`<button class="danger" type="button" disabled=${isCancelling} onClick=${() => setAsking(true)}>${T.cancel.button}</button>`}</div>
    <${Facts} latest=${latest} resolutions=${resolutions} took=${(ended ? X.took : X.since)(duration(nowMs - from))}
      started=${isReplay ? html`<${Time} ms=${from} nowMs=${nowMs} relative=${false} />` : html`<${LiveTime} ms=${from} />`} />
    ${!ended && html`<p class="now"><span class="progress" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(progress)} aria-label=${phaseTitle}>
      <i style=${{ transform: `scaleX(${progress / 100})` }}></i></span> <span>${details.currentOperation ?? phaseTitle}</span>
      ${leftMs !== undefined && html`<span class="soft number">${X.remaining(Math.ceil(leftMs / 1_000))}</span>`}</p>`}
    ${details.error && html`<p class="error">${details.error} <code>${details.errorCode}</code></p>`}
    ${state.kind === "review" && html`<p class="note">${X.review} ${session.isOperator && html`<a href=${`/review#${encodeURIComponent(jobId)}`}>${X.reviewLink}</a>`}</p>`}
    ${state.kind === "reviewed" && html`<p class="note">${X.reviewed}</p>`}
    ${isAsking && !ended && html`<${CancelDialog} session=${session} jobIds=${[jobId]} onClose=${() => setAsking(false)} />`}</header>`;
}

/** Buys, costs and times. What operators recorded is included, and marked. */
function Facts({ latest, resolutions, took, started }) {
  const { bought, planned } = buyParts(latest);
  const recorded = { buys: resolutions.filter(({ kind, executed }) => kind === "buy" && executed).length, spent: resolutions.reduce((sum, { spent }) => sum + spent, 0) };
  const spent = (latest.details?.totalSpent ?? 0) + recorded.spent;
  return html`<p class="facts">
    ${planned > 0 && html`<span>${X.summary(bought + recorded.buys, planned)}${recorded.buys > 0 && ` (${X.recordedBuys(recorded.buys)})`}</span>`}
    ${spent > 0 && html`<span><${Sol} amount=${spent} unit /> ${T.list.columns.spent.toLowerCase()}${recorded.spent > 0 && ` (${X.recordedSpent(exactSol(recorded.spent))})`}</span>`}
    <span class="number">${took}</span><span>${started}</span></p>`;
}
