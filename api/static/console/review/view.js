// Operations with unknown results, at "/review". Operators resolve them.
import { html, useState } from "/static/third_party/preact.js";
import { exactSol, shortId } from "/static/console/format.js";
import { useRequest } from "/static/console/observable.js";
import { filtersOf, queryOf } from "/static/console/query-filters.js";
import { navigate, operationPath } from "/static/console/router.js";
import { FilterForm } from "/static/console/review/filter-form.js";
import { loadReviews, SHOWN } from "/static/console/review/list.js";
import { MarketAnswer, NoMarketAnswer } from "/static/console/review/market.js";
import { ResolveDialog } from "/static/console/review/resolve-dialog.js";
import { T } from "/static/console/texts.js";
import { Address, Badge, Empty, errorText, Failure, Loading, Signature, Sol, Time } from "/static/console/ui.js";
import { displayState } from "/static/console/outcome.js";

const FILTERS = ["userId", "tokenAddress"];
const INTERVAL_MS = 15_000;
const X = T.review;

export function ReviewView({ session, route: { query, part } }) {
  const filters = filtersOf(query, FILTERS);
  const key = String(queryOf(filters));
  if (!session.isOperator) return html`<h1>${X.title}</h1><${Empty} title=${X.onlyOperators} />`;
  return html`<h1>${X.title}</h1>
    <${FilterForm} key=${`filters ${key}`} filters=${filters} />
    <${Reviews} key=${`${key}#${part}`} session=${session} query=${queryOf(filters)} linkedId=${part} />`;
}

/** The newest operations, loaded again at an interval, and older ones on demand. */
function Reviews({ session, query, linkedId }) {
  const [count, setCount] = useState(SHOWN);
  const { data, error, reload } = useRequest(() => loadReviews(session, query, count, linkedId), "reviews", INTERVAL_MS);
  const showMore = () => {
    setCount(count + SHOWN);
    reload();
  };
  if (!data) return error ? html`<${Failure} error=${error} retry=${reload} />` : html`<${Loading} />`;
  const failure = error && html`<${Failure} error=${error} retry=${reload} />`;
  if (!data.jobs.length && query.size) return html`${failure}<${Empty} title=${X.noMatch}><button type="button" onClick=${() => navigate("/review")}>${T.list.clear}</button><//>`;
  if (!data.jobs.length) return html`${failure}<${Empty} title=${X.none}><p>${X.noneText}</p><//>`;
  return html`${failure}<p class="soft">${X.text}</p>
    ${data.jobs.map((job) => html`<${Job} key=${job.jobId} session=${session} job=${job} isLinked=${job.jobId === linkedId} onClosed=${reload} />`)}
    ${data.hasMore && html`<p><button type="button" disabled=${data.count < count} onClick=${showMore}>${X.more}</button></p>`}`;
}

function Job({ session, job: { jobId, latestProgress: latest, createdAt, needsReview }, isLinked, onClosed }) {
  const path = `/api/cto/job/${encodeURIComponent(jobId)}`;
  const [resolved, setResolved] = useState(null); // the review after this page changed it
  const { data, error, reload } = useRequest(() => session.rest.request("GET", `${path}/review`), jobId);
  const market = useRequest(() => session.rest.request("GET", `${path}/market`), jobId);
  const review = resolved ?? data;
  const resolve = async (body) => {
    const next = await session.rest.request("POST", `${path}/resolve`, { body });
    setResolved(next);
    if (!next.needsReview) onClosed();
  };
  return html`<article class="panel review" aria-label=${T.list.open(shortId(jobId))} aria-current=${isLinked ? "true" : undefined}>
    <header class="headline"><${Badge} state=${displayState(latest, needsReview)} />
      <h2><${Address} text=${latest.tokenAddress} target=${T.targets.token} keep=${6} /></h2>
      <span class="soft">${latest.userId} · ${latest.mode} · ${exactSol(latest.buyAmount)} · <${Time} ms=${createdAt} /></span>
      <a class="mono" href=${operationPath(jobId)} title=${jobId}>${shortId(jobId)}</a><a class="end" href=${operationPath(jobId)}>${X.open}</a></header>
    ${review?.error && html`<p class="soft"><code>${review.errorCode}</code> ${review.error}</p>`}
    ${error && html`<${Failure} error=${error} retry=${reload} />`}
    ${review && (review.unknownIntents.length ? html`<${Steps} session=${session} jobId=${jobId} steps=${review.unknownIntents} market=${market} resolve=${resolve} />`
      : html`<${CloseReview} review=${review} close=${() => resolve({})} />`)}</article>`;
}

function Steps({ session, jobId, steps, market: { data: answer, error, isLoading, reload }, resolve }) {
  const [choice, setChoice] = useState(null); // `{ step, executed }`
  const orderOf = ({ intentId }) => answer?.orders.find((order) => order.intentId === intentId);
  const choose = (step, executed) => {
    reload(); // an order may have executed since the page was loaded
    setChoice({ step, executed });
  };
  const column = (name) => html`<th scope="col" class=${`r-${name}`}>${X.columns[name]}</th>`;
  return html`<${NoMarketAnswer} jobId=${jobId} answer=${answer} error=${error} />
    <div class="scroll" tabindex="0" role="region" aria-label=${X.columns.step}><table class="steps"><thead><tr>${Object.keys(X.columns).map(column)}</tr></thead>
    <tbody>${steps.map((step) => html`<${Step} key=${step.intentId} step=${step} order=${orderOf(step)} hasAnswer=${answer?.available} choose=${(executed) => choose(step, executed)} />`)}</tbody></table></div>
    ${choice && html`<${ResolveDialog} session=${session} jobId=${jobId} ...${choice} order=${orderOf(choice.step)} isAwaited=${isLoading} resolve=${resolve} onClose=${() => setChoice(null)} />`}`;
}

function Step({ step: { description, kind, wallet, amount, signature, startedAt, reportedAt, attempt }, order, hasAnswer, choose }) {
  return html`<tr><td>${description}<br /><span class="soft">${T.operation[kind]}</span></td>
    <td><${Address} text=${wallet} target=${T.targets.wallet} /></td>
    <td class="r-amount"><${Sol} amount=${amount} /></td>
    <td>${signature ? html`<${Signature} signature=${signature} />` : html`<span class="soft">${X.noSignature}</span>`}</td>
    <td class="soft">${startedAt && html`${X.sent} <${Time} ms=${startedAt} relative=${false} /><br />`}
      ${reportedAt && html`${X.gaveUp} <${Time} ms=${reportedAt} relative=${false} />${attempt > 1 ? `, ${X.attempt(attempt)}` : ""}`}</td>
    <td class="r-action">${hasAnswer && html`<p><${MarketAnswer} order=${order} /></p>`}
      <button type="button" onClick=${() => choose(true)}>${X.executed}</button> <button type="button" onClick=${() => choose(false)}>${X.notExecuted}</button></td></tr>`;
}

/** An operation without unknown steps, e.g. one that was ended after a backup was restored. */
function CloseReview({ review, close }) {
  const [error, setError] = useState(null);
  if (!review.needsReview) return html`<p role="status">${X.resolved}</p>`;
  return html`<p>${X.noSteps} <button type="button" onClick=${() => close().catch(setError)}>${X.close}</button></p>
    ${error && html`<p class="error" role="alert">${errorText(error)}</p>`}`;
}
