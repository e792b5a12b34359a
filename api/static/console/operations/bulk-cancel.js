// Cancels the selected operations after a confirmation with their number.
import { html, useState } from "/static/third_party/preact.js";
import { addCancellation } from "/static/console/operations/cancellations.js";
import { T } from "/static/console/texts.js";
import { Dialog, errorText } from "/static/console/ui.js";

/** A button for some rows; the dialog shows how many there are. */
export function BulkCancel({ session, rows, onDone }) {
  const [isOpen, setOpen] = useState(false);
  return html`<button class="danger" type="button" onClick=${() => setOpen(true)}>${T.cancel.selected(rows.length)}</button>
    ${isOpen && html`<${CancelDialog} session=${session} jobIds=${rows.map(({ jobId }) => jobId)} onClose=${(done) => {
      setOpen(false);
      if (done) onDone();
    }} />`}`;
}

/** Asks before it cancels operations. `onClose` gets whether the requests were sent. */
export function CancelDialog({ session, jobIds: given, onClose }) {
  const [jobIds] = useState(given); // operations that end meanwhile stay in the count that was shown
  const [state, setState] = useState({ done: 0, failures: [], isBusy: false, isOver: false });
  const confirm = async () => {
    const failures = [];
    for (const [index, jobId] of jobIds.entries()) {
      setState({ done: index, failures, isBusy: true, isOver: false });
      await session.client.cancel(jobId).then(() => addCancellation(jobId), (error) => failures.push(error));
    }
    if (failures.length) setState({ done: jobIds.length, failures, isBusy: false, isOver: true });
    else onClose(true);
  };
  const { done, failures, isBusy, isOver } = state;
  return html`<${Dialog} title=${T.cancel.title(jobIds.length)} onClose=${() => onClose(isOver)}>
    <p>${T.cancel.text}</p>
    ${isBusy && html`<p role="status">${T.cancel.busy(done, jobIds.length)}</p>`}
    ${isOver && html`<p class="error" role="alert">${T.cancel.failed(failures.length, errorText(failures[0]))}</p>`}
    <div class="buttons"><button type="button" onClick=${() => onClose(isOver)}>${isOver ? T.close : T.cancel.keep}</button>
      ${!isOver && html`<button class="danger" type="button" disabled=${isBusy} onClick=${confirm}>${T.cancel.confirm(jobIds.length)}</button>`}</div><//>`;
}
