// What is behind a card: picture, wallets and every event of one operation. It is followed for as long as it is open.
import { timeline } from "/client/index.js";
import { chart } from "/static/chart.js";
import { duration } from "/static/format.js";
import { copyButton, el, say } from "/static/page.js";
import { walletsTable } from "/static/wallets.js";

const GROW_MS = 250; // how often what is still going on is drawn on

/** Fill a node with an operation's details. Returns what ends that. */
export function showDetails(client, jobId, node) {
  const [picture, wallets] = [chart(), walletsTable()];
  const took = el("span", "took");
  const log = el("ol", "log");
  const everything = el("details", "events", el("summary", "", "Every event"), log);
  const trouble = el("p", "error");
  const id = el("p", "id", "Operation ", el("span", "mono", jobId), copyButton(jobId, "operation id"), took);
  node.replaceChildren(id, trouble, picture.node, wallets.node, everything);

  const tracker = client.track(jobId);
  let behindMs = null; // how far this clock is behind the one that events are timed by
  const draw = () => {
    const { events, error } = tracker.job();
    say(trouble, error?.message ?? "");
    const times = timeline(events);
    if (!times) return;
    const nowMs = times.to ?? Math.max(events.at(-1).timestamp, Date.now() + (behindMs ?? 0));
    picture.update(times, nowMs);
    const planned = events.find(({ details }) => details?.plannedWallets)?.details.plannedWallets ?? [];
    wallets.update({ planned, steps: times.steps, mode: events[0].mode, ended: times.to !== null });
    say(took, `${times.to ? "took" : "for"} ${duration(nowMs - times.from)}`);
    for (const event of events.slice(log.children.length)) log.append(line(event));
  };
  tracker.onProgress(({ timestamp }, { restored }) => {
    if (!restored) behindMs = Math.min(behindMs ?? Infinity, timestamp - Date.now());
  });
  tracker.onChange(draw);
  const growing = setInterval(() => {
    if (tracker.job().ended) clearInterval(growing);
    else if (!document.hidden) draw();
  }, GROW_MS);
  return () => {
    clearInterval(growing);
    tracker.close();
    node.replaceChildren();
  };
}

function line({ seq, progress, details, phaseDescription }) {
  const text = details?.error ?? details?.currentOperation ?? phaseDescription;
  return el("li", "", el("span", "", String(seq)), el("span", "", `${progress.toFixed(0)} %`), el("span", "", text));
}
