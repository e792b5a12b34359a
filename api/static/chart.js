// The picture of one operation: when each phase, and each transfer and buy, began and how long it took.
import { el, say } from "/static/page.js";
import { duration } from "/static/format.js";

const SHORTEST = 0.4; // per cent of the width, for what took no time

/** A chart that `update(timeline, nowMs)` draws, and draws on while the operation runs. */
export function chart() {
  const list = el("ol", "chart");
  list.setAttribute("aria-label", "How long each phase and step took");
  const rows = new Map();

  const row = (key, className, label) => {
    let found = rows.get(key);
    if (!found) {
      const [name, track, took] = [el("span", "name", label), el("span", "track"), el("span", "took")];
      const span = el("span", "span");
      track.append(span);
      found = { node: el("li", className, name, track, took), span, took };
      rows.set(key, found);
      list.append(found.node);
    }
    return found;
  };

  const draw = (key, className, label, { from, to }, whole, nowMs) => {
    const { node, span, took } = row(key, className, label);
    const end = to ?? Math.max(from, nowMs);
    const width = Math.max(SHORTEST, ((end - from) / whole.ms) * 100);
    span.style.left = `${Math.min(100 - SHORTEST, ((from - whole.from) / whole.ms) * 100)}%`;
    span.style.width = `${width}%`;
    node.dataset.open = String(to === null);
    say(took, duration(end - from));
  };

  return {
    node: list,
    update({ phases, steps, from, to }, nowMs) {
      const whole = { from, ms: Math.max(1, (to ?? nowMs) - from) };
      for (const phase of phases.filter((each) => each.phase < 5)) {
        draw(`phase ${phase.phase}`, "phase", phase.title, phase, whole, nowMs);
      }
      steps.forEach((step, at) => draw(`step ${at}`, `step ${step.kind} ${step.status}`, step.label, step, whole, nowMs));
    },
  };
}
