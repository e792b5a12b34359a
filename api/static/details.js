// The details of one operation: timeline, wallets and all events. The operation is followed while they are open.
import { timeline } from "/client/index.js";
import { chart } from "/static/chart.js";
import { duration } from "/static/format.js";
import { copyButton, element, setText } from "/static/page.js";
import { walletsTable } from "/static/wallets.js";

const REDRAW_MS = 250; // interval at which phases and steps in progress are redrawn

/** Show an operation's details in a node. Returns a function that stops this. */
export function showDetails(client, jobId, node) {
  const [timelineChart, wallets] = [chart(), walletsTable()];
  const took = element("span", "took");
  const log = element("ol", "log");
  const allEvents = element("details", "events", element("summary", "", "All events"), log);
  const failure = element("p", "error");
  const id = element("p", "id", "Operation ", element("span", "mono", jobId), copyButton(jobId, "operation id"), took);
  node.replaceChildren(id, failure, timelineChart.node, wallets.node, allEvents);

  const tracker = client.track(jobId);
  let clockOffsetMs = null; // what to add to this clock to get the clock of the events' timestamps
  const draw = () => {
    const { events, error } = tracker.job();
    setText(failure, error?.message ?? "");
    const times = timeline(events);
    if (!times) return;
    const nowMs = times.to ?? Math.max(events.at(-1).timestamp, Date.now() + (clockOffsetMs ?? 0));
    const planned = events.find(({ details }) => details?.plannedWallets)?.details.plannedWallets;
    const addresses = planned ?? [...new Set(times.steps.map(({ wallet }) => wallet))]; // an older release does not plan
    timelineChart.update(times, addresses, nowMs);
    wallets.update({ ...times, wallets: addresses, mode: events[0].mode, ended: times.to !== null });
    setText(took, `${times.to ? "took" : "for"} ${duration(nowMs - times.from)}`);
    for (const event of events.slice(log.children.length)) log.append(line(event));
  };
  tracker.onProgress(({ timestamp }, { restored }) => {
    if (!restored) clockOffsetMs = Math.min(clockOffsetMs ?? Infinity, timestamp - Date.now());
  });
  tracker.onChange(draw);
  const redrawing = setInterval(() => {
    if (tracker.job().ended) clearInterval(redrawing);
    else if (!document.hidden) draw();
  }, REDRAW_MS);
  return () => {
    clearInterval(redrawing);
    tracker.close();
    node.replaceChildren();
  };
}

function line({ seq, progress, details, phaseDescription }) {
  const text = details?.error ?? details?.currentOperation ?? phaseDescription;
  return element("li", "", element("span", "", String(seq)), element("span", "", `${progress.toFixed(0)} %`), element("span", "", text));
}
