// One operation, at "/operations/<id>"; with `?with=<id>`, two operations side by side; with `?wallet=<address>`, with a marked wallet.
import { html, useRef, useState } from "/static/third_party/preact.js";
import { CompareDialog } from "/static/console/operation/compare.js";
import { Comparison } from "/static/console/operation/comparison.js";
import { curlOf } from "/static/console/operation/parameters.js";
import { Replay } from "/static/console/operation/replay.js";
import { Run } from "/static/console/operation/run.js";
import { listAddress, navigate, operationPath } from "/static/console/router.js";
import { T } from "/static/console/texts.js";
import { Copy, Icon } from "/static/console/ui.js";

const X = T.operation;

export function OperationView({ session, route: { jobId, query }, start }) {
  const other = query.get("with");
  const jobIds = other ? [jobId, other] : [jobId];
  const [ends, setEnds] = useState({}); // of the runs that have ended, as `onEnd` gets them, by id
  const [replayMs, setReplayMs] = useState(null);
  const [isChoosing, setChoosing] = useState(false);
  const onEnd = (id, end) => setEnds((before) => ({ ...before, [id]: end }));
  const areEnded = jobIds.every((id) => id in ends);
  const totalMs = Math.max(1, ...jobIds.map((id) => ends[id]?.durationMs ?? 0));
  const replayButton = useRef();
  const leaveReplay = () => {
    setReplayMs(null);
    requestAnimationFrame(() => replayButton.current?.focus({ preventScroll: true })); // the controls that had the focus are gone
  };
  const compareWith = (id) => {
    setChoosing(false);
    setReplayMs(null);
    navigate(operationPath(jobId) + (id ? `?with=${encodeURIComponent(id)}` : ""));
  };
  return html`<div class="list-head"><p><a class="back" href=${listAddress()}><${Icon} kind="back" />${X.back}</a></p>
      <div class="actions">
        ${ends[jobId] && html`<button type="button" onClick=${() => start(ends[jobId].request)}>${X.again}</button>`}
        ${areEnded && replayMs === null && html`<button ref=${replayButton} type="button" onClick=${() => setReplayMs(0)}>${T.replay.start}</button>`}
        ${other ? html`<button type="button" onClick=${() => compareWith(null)}>${T.compare.close}</button>`
          : html`<button type="button" onClick=${() => setChoosing(true)}>${T.compare.start}</button>`}
        <${Copy} text=${curlOf(jobId)} target=${X.curlTarget} label=${X.curl} /></div></div>
    ${replayMs !== null && html`<${Replay} atMs=${replayMs} totalMs=${totalMs} onMove=${setReplayMs} onLeave=${leaveReplay} />`}
    <h1 class="hidden">${other ? T.compare.title : X.title}</h1>
    ${other ? html`<${Comparison} key=${other} session=${session} jobIds=${jobIds} replayMs=${replayMs} onEnd=${onEnd} />`
      : html`<${Run} session=${session} jobId=${jobId} replayMs=${replayMs} onEnd=${onEnd} marked=${query.get("wallet")} />`}
    ${isChoosing && html`<${CompareDialog} session=${session} jobId=${jobId} onChoose=${compareWith} onClose=${() => setChoosing(false)} />`}`;
}
