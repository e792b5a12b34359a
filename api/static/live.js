// The operations of a room as they run: a card each, the newest first.
import { Card } from "/static/card.js";
import { shorten } from "/static/format.js";
import { standing } from "/static/outcome.js";
import { $, say } from "/static/page.js";
import { showTotals } from "/static/totals.js";

/** The first of some nodes that a list has, in the list's order. */
const firstIn = (list, nodes) => [...list.children].find((node) => nodes.includes(node)) ?? null;

const SHOWN = 100; // cards, until more are asked for

/** Show the operations of a `user`, one `job`, or `all`. Returns what ends that. */
export function showRoom(client, kind, id) {
  const tracker = kind === "user" ? client.trackUser(id) : kind === "job" ? client.track(id, { history: false }) : client.trackAll();
  const cards = new Map();
  let limit = SHOWN;

  const draw = () => {
    const { jobs, error } = tracker.snapshot;
    const known = jobs.filter(({ latest }) => latest);
    say($("room-error"), error?.message ?? jobs.find((job) => job.error)?.error.message ?? "");
    $("empty").hidden = known.length > 0 || Boolean(error) || kind === "job";
    $("more").hidden = known.length <= limit;
    showTotals(known);
    for (const { jobId, latest } of known.slice(-limit)) {
      let card = cards.get(jobId);
      if (!card) {
        card = new Card(client, jobId);
        cards.set(jobId, card);
        card.update(latest);
        place(card);
        if (kind === "job") card.toggle(true);
      }
      const wasFirst = card.needsReview;
      card.update(latest);
      if (card.needsReview && !wasFirst) place(card);
    }
    for (const [jobId, card] of cards) { // those that others have pushed out, unless somebody reads them
      if (cards.size <= limit) break;
      if (card.isOpen) continue;
      card.node.remove();
      cards.delete(jobId);
    }
  };

  /**
   * Those that an operator must look at come first. The others come in the order in which they were accepted; those of a
   * longer list come before what is there.
   */
  const place = (card) => {
    const order = tracker.snapshot.jobs.map(({ jobId }) => jobId).filter((jobId) => Boolean(cards.get(jobId)?.needsReview) === card.needsReview);
    const older = order.slice(0, order.indexOf(card.jobId));
    const before = older.reverse().map((jobId) => cards.get(jobId)?.node).find((node) => node?.isConnected);
    const firstOther = card.needsReview ? [...cards.values()].filter(({ needsReview }) => !needsReview).map(({ node }) => node) : [];
    $("jobs").insertBefore(card.node, before ?? firstIn($("jobs"), firstOther));
  };

  $("more").onclick = () => {
    limit += SHOWN;
    draw();
  };
  tracker.onChange(draw);
  tracker.onError(draw);
  tracker.onComplete((event, { restored }) => {
    if (!restored) say($("announcer"), `${shorten(event.tokenAddress)} ${standing(event).words}: ${event.phaseDescription}`);
  });
  showTotals([]);
  // Whether there is nothing is known only once the room has been joined.
  const waiting = setTimeout(draw, 1_000);

  return () => {
    clearTimeout(waiting);
    for (const card of cards.values()) card.close();
    tracker.close();
    $("jobs").replaceChildren();
    say($("room-error"), "");
    $("empty").hidden = $("more").hidden = true;
  };
}
