// A list of operations, one of which is chosen.
import { html } from "/static/third_party/preact.js";
import { exactSol, shortId, shorten, shortTime } from "/static/console/format.js";
import { buyParts, displayState, recordedOf } from "/static/console/outcome.js";
import { T } from "/static/console/texts.js";

/** `jobs` are those of a list response; `onChoose` gets the id of one. `isWhole`: their ids are not shortened. */
export const Choice = ({ jobs, isWhole = false, onChoose }) => html`<ul class="recent">${jobs.map((job) => html`<li key=${job.jobId}>
  <button class="quiet" type="button" title=${job.jobId} onClick=${() => onChoose(job.jobId)}><span class="mono">${isWhole ? job.jobId : shortId(job.jobId)}</span>
  <span>${describe(job)}</span></button></li>`)}</ul>`;

/** Return what distinguishes an operation from others of the same token. */
function describe(job) {
  const { tokenAddress, userId, buyAmount, createdAt, latestProgress: latest, needsReview } = job;
  const { bought, planned } = buyParts(latest, recordedOf(job));
  const buys = planned ? ` ${bought}/${planned}` : "";
  return `${displayState(latest, needsReview).text}${buys} · ${exactSol(buyAmount)} · ${shorten(tokenAddress)} · ${userId} · ${shortTime(createdAt)}`;
}
