// The operations that ended in each minute of the last hour.
import { html } from "/static/third_party/preact.js";
import { fullTime, integer, shortTime } from "/static/console/format.js";
import { T } from "/static/console/texts.js";

const [WIDTH, HEIGHT, GAP] = [600, 90, 2];
const X = T.system;

export function MinutesChart({ minutes }) {
  const most = Math.max(1, ...minutes.map(({ completed, failed }) => completed + failed));
  const width = WIDTH / minutes.length;
  const height = (number) => (number / most) * HEIGHT;
  return html`<figure class="minutes"><svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${X.chart(integer(most))}>
      ${minutes.map(({ since, completed, failed }, index) => html`<g key=${since}><title>${`${fullTime(since)}: ${X.ended(integer(completed), integer(failed))}`}</title>
        <rect class="slot" x=${index * width} y="0" width=${width} height=${HEIGHT}></rect>
        <rect class="completed" x=${index * width} y=${HEIGHT - height(completed)} width=${width - GAP} height=${height(completed)}></rect>
        <rect class="failed" x=${index * width} y=${HEIGHT - height(completed + failed)} width=${width - GAP} height=${height(failed)}></rect></g>`)}</svg>
    <figcaption class="axis soft number"><span>${shortTime(minutes[0].since)}</span><span>${X.most(integer(most))}</span><span>${X.now}</span></figcaption></figure>`;
}
