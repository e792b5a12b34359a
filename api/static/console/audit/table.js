// Entries of the audit log as a table.
import { html } from "/static/third_party/preact.js";
import { exactSol, exactTokens, fullTime, integer, shortId, shorten } from "/static/console/format.js";
import { operationPath } from "/static/console/router.js";
import { T } from "/static/console/texts.js";
import { Time } from "/static/console/ui.js";

const COLUMNS = ["number", "time", "actor", "action", "subject", "change"];
const X = T.audit;
const ofLamports = (lamports) => exactSol(lamports / 1e9);
const UNITS = { buyAmount: exactSol, spentLamports: ofLamports, lamports: ofLamports, tokens: exactTokens, slippageBps: (points) => `${points / 100} %`, revokedUntil: fullTime };

/** `isOfOneJob`: the entries are those of one operation, which is not named again. */
export const AuditTable = ({ entries, isOfOneJob = false }) => html`<div class="scroll audit-entries" tabindex="0" role="region" aria-label=${X.title}><table class="facts-table">
  <thead><tr>${COLUMNS.map((name) => html`<th scope="col" class=${`a-${name}`}>${X.columns[name]}</th>`)}</tr></thead>
  <tbody>${entries.map((entry) => html`<${Entry} key=${entry.hash} entry=${entry} isOfOneJob=${isOfOneJob} />`)}</tbody></table></div>`;

function Entry({ entry: { number, at, actor, role, address, action, jobId, target, before, after, hash }, isOfOneJob }) {
  return html`<tr><td class="a-number number soft" title=${X.hash(hash)}>${integer(number)}</td>
    <td class="a-time number"><${Time} ms=${at} relative=${false} /></td>
    <td class="a-actor">${actor} <span class="soft">${role}, ${address}</span></td>
    <td class="a-action"><code>${action}</code></td>
    <td class="a-subject">${jobId && !isOfOneJob && html`<a class="mono" href=${operationPath(jobId)} title=${jobId}>${shortId(jobId)}</a>`} ${target ? html`<span class="mono" title=${target}>${partOf(target, jobId)}</span>` : isOfOneJob && "–"}</td>
    <td class="a-change"><${Change} before=${before} after=${after} /></td></tr>`;
}

/** Return a target without the job id with which the id of a step begins, and with a shortened wallet. */
function partOf(target, jobId) {
  if (!jobId || !target.startsWith(`${jobId}:`)) return target;
  const [wallet, ...step] = target.slice(jobId.length + 1).split(":");
  return [shorten(wallet), ...step].join(":");
}

/** The values after a change, each with the value before it if that differs. */
function Change({ before, after }) {
  const names = Object.keys({ ...before, ...after });
  if (!names.length) return "–";
  const isChanged = (name) => before && after && name in before && name in after && textOf(before[name]) !== textOf(after[name]);
  const valueOf = (name) => (after && name in after ? after : before)[name];
  return html`<dl class="change">${names.map((name) => html`<div><dt title=${name}>${X.values[name] ?? name}</dt><dd title=${textOf(valueOf(name))}>
    ${isChanged(name) && html`<s>${shown(name, before[name])}</s> `}${shown(name, valueOf(name))}</dd></div>`)}</dl>`;
}

/** Return a value with its unit. */
const shown = (name, value) => (typeof value === "number" && UNITS[name] ? UNITS[name](value) : shorten(textOf(value), 12));

const textOf = (value) => (value === undefined || value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
