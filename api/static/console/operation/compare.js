// The choice of a second run to compare with.
import { html, useState } from "/static/third_party/preact.js";
import { named } from "/static/console/job-ids.js";
import { useRequest } from "/static/console/observable.js";
import { Choice } from "/static/console/operation/choice.js";
import { T } from "/static/console/texts.js";
import { Dialog, errorText } from "/static/console/ui.js";

const RECENT = 20;
const X = T.compare;

/** Asks for the id of an operation, or its first characters; `onChoose` gets the whole id. */
export function CompareDialog({ session, jobId, onChoose, onClose }) {
  const [id, setId] = useState("");
  const [{ isBusy, error, several }, setState] = useState({ isBusy: false, error: "", several: null });
  const { data } = useRequest(() => session.client.jobs({ limit: RECENT }), jobId);
  const jobs = several ?? (data?.jobs ?? []).filter((job) => job.jobId !== jobId);
  const submit = async (submission) => {
    submission.preventDefault();
    const text = id.trim();
    if (!text || isBusy) return;
    setState({ isBusy: true, error: "", several: null });
    try {
      const found = await named(session, text);
      if (found.length === 1) onChoose(found[0].jobId);
      else if (found.length) setState({ isBusy: false, error: T.jobIds.several(found.length, text), several: found });
      else setState({ isBusy: false, error: T.jobIds.none(text), several: null });
    } catch (failure) {
      setState({ isBusy: false, error: errorText(failure), several: null });
    }
  };
  return html`<${Dialog} title=${X.label} onClose=${onClose}>
    <form class="compare" onSubmit=${submit} aria-busy=${String(isBusy)}><label for="compare-id">${X.hint}</label>
      <input id="compare-id" value=${id} spellcheck="false" autocomplete="off" aria-invalid=${String(error !== "")} aria-describedby="compare-error"
        onInput=${({ target }) => setId(target.value)} />
      <p class="error" id="compare-error" role="alert">${error}</p>
      <button class="primary">${X.open}</button></form>
    ${jobs.length > 0 && html`${!several && html`<p class="soft">${X.recent}</p>`}<${Choice} jobs=${jobs} isWhole=${several !== null} onChoose=${onChoose} />`}<//>`;
}
