// The timeline of one operation: a row for each phase, and one for each wallet with its transfer and buys.
import { element, setText } from "/static/page.js";
import { duration, shorten } from "/static/format.js";

const MIN_WIDTH = 0.4; // per cent of the chart, so that the shortest step is visible
const NOUNS = { transfer: "Transfer", buy: "Buy" };

/** Create a chart. `update(timeline, wallets, nowMs)` draws it; phases and steps in progress extend to `nowMs`. */
export function chart() {
  const list = element("ol", "chart");
  list.setAttribute("aria-label", "Duration of each phase, and of each wallet's transfer and buys");
  const legend = element("p", "legend");
  const rows = new Map();

  const row = (key, className, makeName) => {
    let entry = rows.get(key);
    if (!entry) {
      const [track, took] = [element("span", "track"), element("span", "took")];
      entry = { track, took };
      rows.set(key, entry);
      list.append(element("li", className, makeName(), track, took));
    }
    return entry;
  };

  const draw = ({ track, took }, spans, whole, nowMs) => {
    while (track.children.length < spans.length) track.append(element("span"));
    spans.forEach(({ from, to, className, title }, index) => {
      const bar = track.children[index];
      const end = to ?? Math.max(from, nowMs);
      bar.className = `span ${className}`;
      bar.title = `${title}, ${duration(end - from)}`;
      bar.style.left = `${Math.min(100 - MIN_WIDTH, ((from - whole.from) / whole.ms) * 100)}%`;
      bar.style.width = `${Math.max(MIN_WIDTH, ((end - from) / whole.ms) * 100)}%`;
      bar.dataset.inProgress = String(to === null);
    });
    setText(took, spans.length ? duration((spans.at(-1).to ?? Math.max(spans[0].from, nowMs)) - spans[0].from) : "–");
  };

  return {
    node: element("div", "", list, legend),
    update({ phases, steps, running, from, to }, wallets, nowMs) {
      const whole = { from, ms: Math.max(1, (to ?? nowMs) - from) };
      for (const phase of phases.filter((each) => each.phase < 5)) {
        const entry = row(`phase ${phase.phase}`, "phase", () => element("span", "name", phase.title));
        draw(entry, [{ ...phase, className: "", title: phase.title }], whole, nowMs);
      }
      const bars = [...steps.map(endedBar), ...running.map(runningBar)];
      wallets.forEach((wallet, index) => {
        const entry = row(wallet, "wallet", () => walletName(wallet, index + 1));
        draw(entry, bars.filter((bar) => bar.wallet === wallet), whole, nowMs);
      });
      showLegend(legend, bars);
    },
  };
}

const endedBar = ({ kind, status, ...span }) => ({ ...span, className: `${kind} ${status}`, title: `${NOUNS[kind]} ${status}` });
const runningBar = ({ kind, ...span }) => ({ ...span, className: kind, title: `${NOUNS[kind]} in flight` });

/** Show the meaning of the colours that the bars have. */
function showLegend(legend, bars) {
  const has = (name) => bars.some(({ className }) => className.split(" ").includes(name));
  const names = ["transfer", "buy", "failed", "unknown"].filter(has);
  if (legend.children.length === names.length) return;
  legend.replaceChildren(...names.map((name) => element("span", "", element("i", `span ${name}`), name)));
}

function walletName(wallet, number) {
  const name = element("span", "name", `Wallet ${number} `, element("span", "mono", shorten(wallet, 4)));
  name.title = wallet;
  return name;
}
