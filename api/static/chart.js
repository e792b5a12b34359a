// The timeline of one operation: start and duration of each phase, transfer and buy.
import { element, setText } from "/static/page.js";
import { duration } from "/static/format.js";

const MIN_WIDTH = 0.4; // per cent of the chart, so that the shortest step is visible

/** Create a chart. `update(timeline, nowMs)` draws it; phases and steps in progress extend to `nowMs`. */
export function chart() {
  const list = element("ol", "chart");
  list.setAttribute("aria-label", "Duration of each phase and step");
  const rows = new Map();

  const row = (key, className, label) => {
    let entry = rows.get(key);
    if (!entry) {
      const [name, track, took] = [element("span", "name", label), element("span", "track"), element("span", "took")];
      const span = element("span", "span");
      track.append(span);
      entry = { node: element("li", className, name, track, took), span, took };
      rows.set(key, entry);
      list.append(entry.node);
    }
    return entry;
  };

  const draw = (key, className, label, { from, to }, whole, nowMs) => {
    const { node, span, took } = row(key, className, label);
    const end = to ?? Math.max(from, nowMs);
    const width = Math.max(MIN_WIDTH, ((end - from) / whole.ms) * 100);
    span.style.left = `${Math.min(100 - MIN_WIDTH, ((from - whole.from) / whole.ms) * 100)}%`;
    span.style.width = `${width}%`;
    node.dataset.inProgress = String(to === null);
    setText(took, duration(end - from));
  };

  return {
    node: list,
    update({ phases, steps, from, to }, nowMs) {
      const whole = { from, ms: Math.max(1, (to ?? nowMs) - from) };
      for (const phase of phases.filter((each) => each.phase < 5)) {
        draw(`phase ${phase.phase}`, "phase", phase.title, phase, whole, nowMs);
      }
      steps.forEach((step, index) => draw(`step ${index}`, `step ${step.kind} ${step.status}`, step.label, step, whole, nowMs));
    },
  };
}
