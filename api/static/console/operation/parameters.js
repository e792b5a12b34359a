// The parameters of an operation, and its status response as JSON.
import { html, useEffect, useState } from "/static/third_party/preact.js";
import { AUTH_REQUIRED, traceUrl } from "/static/console/config.js";
import { addressOf } from "/static/console/operations/filters.js";
import { T } from "/static/console/texts.js";
import { Address, Copy, errorText, ExternalId, Moment, Sol } from "/static/console/ui.js";

const X = T.operation;
const WIDE = ["jobId", "tokenAddress", "started", "ended"];
const statusPath = (jobId) => `/api/cto/job/${encodeURIComponent(jobId)}/status`;

export function Parameters({ first, latest }) {
  const { jobId, tokenAddress, userId, userChatId, socketUserId, mode, buyAmount } = first;
  const trace = traceUrl(first.details?.traceId);
  const ended = latest.status === "completed" || latest.status === "failed";
  const fields = {
    jobId: html`<${Address} text=${jobId} target=${T.targets.id} keep=${40} />`,
    tokenAddress: html`<a class="mono" href=${addressOf({ tokenAddress })}>${tokenAddress}</a>`,
    userId: html`<a href=${addressOf({ userId })}>${userId}</a>`,
    userChatId: String(userChatId),
    ...(socketUserId && { socketUserId }),
    mode, platform: latest.platform, buyAmount: html`<${Sol} amount=${buyAmount} unit />`,
    attempt: String(latest.attempt),
    started: html`<${Moment} ms=${first.timestamp} />`,
    ...(ended && { ended: html`<${Moment} ms=${latest.timestamp} />` }),
    ...(trace && { trace: html`<${ExternalId} id=${first.details.traceId} url=${trace} title=${X.openTrace} target=${T.targets.traceId} />` }),
  };
  return html`<section class="panel"><h3>${X.parameters}</h3>
    <dl class="parameters">${Object.entries(fields).map(([name, value]) => html`<div data-wide=${String(WIDE.includes(name))}><dt>${X.fields[name]}</dt><dd>${value}</dd></div>`)}</dl></section>`;
}

/** Return the command that requests an operation's status. */
export function curlOf(jobId) {
  const header = AUTH_REQUIRED ? ' -H "Authorization: Bearer $CTO_TOKEN"' : "";
  return `curl${header} '${location.origin}${statusPath(jobId)}'`;
}

/** The status response, requested when it is unfolded. */
export function RawJson({ session, jobId, version }) {
  const [isOpen, setOpen] = useState(false);
  const [text, setText] = useState("");
  useEffect(() => {
    if (isOpen) session.rest.request("GET", statusPath(jobId)).then((data) => setText(JSON.stringify(data, null, 2)), (error) => setText(errorText(error)));
  }, [isOpen, version]);
  return html`<details class="panel fold" onToggle=${({ target }) => setOpen(target.open)}><summary><h3>${X.raw}</h3></summary>
    <p><${Copy} text=${text} target=${T.targets.json} /> <${Copy} text=${curlOf(jobId)} target=${X.curlTarget} label=${X.curl} /></p>
    <pre tabindex="0">${text}</pre></details>`;
}
