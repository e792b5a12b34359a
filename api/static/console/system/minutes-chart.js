// The operations that ended in each minute of the last hour.
import { html } from "/static/third_party/preact.js";
import { fullTime, integer, shortTime } from "/static/console/format.js";
import { T } from "/static/console/texts.js";

const [WIDTH, HEIGHT, GAP] = [600, 90, 2];
const X = T.system;

export const OUTCOMES = ["full", "partial", "unknown", "none"];

/** Return the ended operations by outcome as text, e.g. "20 completed, 3 partial". */
export const outcomeText = (counts) => OUTCOMES.map((outcome) => `${integer(counts[outcome])} ${X.outcomes[outcome]}`).join(", ");

export function MinutesChart({ minutes }) {
  const totals = minutes.map((minute) => OUTCOMES.reduce((sum, outcome) => sum + minute[outcome], 0));
  const most = Math.max(1, ...totals);
  const width = WIDTH / minutes.length;
  const height = (number) => (number / most) * HEIGHT;
  return html`<figure class="minutes"><svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${X.chart(integer(most))}>
      ${minutes.map((minute, index) => html`<g key=${minute.since}><title>${`${fullTime(minute.since)}: ${outcomeText(minute)}`}</title>
        <rect class="slot" x=${index * width} y="0" width=${width} height=${HEIGHT}></rect>
        ${OUTCOMES.map((outcome, at) => html`<rect class=${outcome} x=${index * width} width=${width - GAP} height=${height(minute[outcome])}
          y=${HEIGHT - height(OUTCOMES.slice(0, at + 1).reduce((sum, each) => sum + minute[each], 0))}></rect>`)}</g>`)}</svg>
    <figcaption class="axis soft number"><span>${shortTime(minutes[0].since)}</span><span>${X.most(integer(most))}</span><span>${X.now}</span></figcaption></figure>`;
}
