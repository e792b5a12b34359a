// The audit log of one operation, requested when it is unfolded.
import { html, useState } from "/static/third_party/preact.js";
import { AuditTable } from "/static/console/audit/table.js";
import { useRequest } from "/static/console/observable.js";
import { T } from "/static/console/texts.js";
import { Failure, Loading } from "/static/console/ui.js";

const LIMIT = 200; // an operation has an entry for its start, its cancellation and each resolution

export function AuditSection({ session, jobId, version }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details class="panel fold audit" onToggle=${({ target }) => setOpen(target.open)}><summary><h3>${T.audit.title}</h3></summary>
    ${isOpen && html`<${Entries} session=${session} jobId=${jobId} version=${version} />`}</details>`;
}

function Entries({ session, jobId, version }) {
  const load = () => session.rest.request("GET", `/api/cto/audit?jobId=${encodeURIComponent(jobId)}&limit=${LIMIT}`);
  const { data, error, reload } = useRequest(load, version);
  if (error) return html`<${Failure} error=${error} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  return data.entries.length ? html`<${AuditTable} entries=${data.entries} isOfOneJob />` : html`<p class="soft">${T.audit.none}</p>`;
}
