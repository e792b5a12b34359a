// The choice of a second run to compare with.
import { html, useState } from "/static/third_party/preact.js";
import { exactSol, shortId, shorten, shortTime } from "/static/console/format.js";
import { useRequest } from "/static/console/observable.js";
import { buyParts, displayState, recordedOf } from "/static/console/outcome.js";
import { T } from "/static/console/texts.js";
import { Dialog } from "/static/console/ui.js";

const RECENT = 20;

/** Asks for the id of an operation; `onChoose` gets it. */
export function CompareDialog({ session, jobId, onChoose, onClose }) {
  const [id, setId] = useState("");
  const { data } = useRequest(() => session.client.jobs({ limit: RECENT }), jobId);
  const recent = (data?.jobs ?? []).filter((job) => job.jobId !== jobId);
  const submit = (submission) => {
    submission.preventDefault();
    if (id.trim()) onChoose(id.trim());
  };
  return html`<${Dialog} title=${T.compare.label} onClose=${onClose}>
    <form class="compare" onSubmit=${submit}><label for="compare-id">${T.compare.hint}</label>
      <input id="compare-id" value=${id} spellcheck="false" autocomplete="off" onInput=${({ target }) => setId(target.value)} />
      <button class="primary">${T.compare.open}</button></form>
    ${recent.length > 0 && html`<p class="soft">${T.compare.recent}</p><ul class="recent">${recent.map((job) => html`<li key=${job.jobId}>
      <button class="quiet" type="button" onClick=${() => onChoose(job.jobId)}><span class="mono">${shortId(job.jobId)}</span>
      <span>${describe(job)}</span></button></li>`)}</ul>`}<//>`;
}

/** Return what distinguishes an operation from others of the same token. */
function describe(job) {
  const { tokenAddress, userId, buyAmount, createdAt, latestProgress: latest, needsReview } = job;
  const { bought, planned } = buyParts(latest, recordedOf(job));
  const buys = planned ? ` ${bought}/${planned}` : "";
  return `${displayState(latest, needsReview).text}${buys} · ${exactSol(buyAmount)} · ${shorten(tokenAddress)} · ${userId} · ${shortTime(createdAt)}`;
}
