// Ids of operations in addresses and fields: whole ids, or the first characters of one of the newest operations.
import { html, useEffect } from "/static/third_party/preact.js";
import { useRequest } from "/static/console/observable.js";
import { Choice } from "/static/console/operation/choice.js";
import { navigate } from "/static/console/router.js";
import { T } from "/static/console/texts.js";
import { Empty, Loading } from "/static/console/ui.js";

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
export const ID = /^[\w-]{1,128}$/; // clients may choose their own
export const ID_START = /^[0-9a-f][0-9a-f-]{3,}$/i; // the first characters of a UUID
const NEWEST = 1_000; // operations among which the first characters of an id are searched
const PAGE = 100;
const X = T.jobIds;

/** Return the operations that a text names: `[{ jobId }]` for a whole id, or those of the newest whose ids begin with it. */
export async function named(session, text) {
  const lower = text.toLowerCase();
  if (UUID.test(lower) && text === lower) return [{ jobId: text }];
  if (ID.test(text) && (await exists(session, text))) return [{ jobId: text }];
  if (UUID.test(lower)) return [{ jobId: lower }];
  const found = [];
  let cursor = null;
  for (let seen = 0; seen < NEWEST && ID_START.test(text); seen += PAGE) {
    const { jobs, nextCursor } = await session.client.jobs({ limit: PAGE, cursor });
    found.push(...jobs.filter(({ jobId }) => jobId.startsWith(lower)));
    if (!nextCursor) break;
    cursor = nextCursor;
  }
  return found;
}

const exists = (session, jobId) => session.rest.request("GET", `/api/cto/jobs/stats?jobIds=${jobId}`).then(({ notFound }) => notFound === 0);

/**
 * Replaces the first characters of an id in the address by the whole id, and then shows its children. If several ids begin with them,
 * the user chooses one. `texts` are the ids in the address; `replaced` returns the address with an id instead of a text.
 * `isNoted`: the children do not say that there is no such operation.
 */
export function WholeIds({ session, texts, replaced, isNoted, children }) {
  const short = texts.filter((text) => !UUID.test(text) || text !== text.toLowerCase());
  const load = () => Promise.all(short.map(async (text) => ({ text, jobs: await named(session, text) })));
  const { data, isLoading } = useRequest(load, short.join(" "));
  const found = (short.length && data) || []; // empty after an error, too: the children show their own
  const { text, jobs } = found.find((each) => each.jobs.length && each.jobs[0].jobId !== each.text) ?? {};
  const open = (jobId) => navigate(replaced(text, jobId), { replace: true });
  const only = jobs?.length === 1 ? jobs[0].jobId : null;
  useEffect(() => { if (only) open(only); }, [only]);
  if (short.length && (isLoading || only)) return html`<${Loading} />`;
  if (jobs) return html`<${Empty} title=${X.several(jobs.length, text)}><${Choice} jobs=${jobs} isWhole onChoose=${open} /><//>`;
  const missing = isNoted && found.find((each) => !each.jobs.length);
  return html`${missing && html`<p class="note" role="status">${X.none(missing.text)}</p>`}${children}`;
}
