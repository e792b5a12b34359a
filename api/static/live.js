// The live operations of a room: one card for each, newest first.
import { Card } from "/static/card.js";
import { shorten } from "/static/format.js";
import { displayState } from "/static/outcome.js";
import { $, setText } from "/static/page.js";
import { showTotals } from "/static/totals.js";

/** Return the first child of a list that is one of these nodes. */
const firstIn = (list, nodes) => [...list.children].find((node) => nodes.includes(node)) ?? null;

const SHOWN = 100; // number of cards before "Show more"

/** Show the operations of a `user`, one `job`, or `all`. Returns a function that stops this. */
export function showRoom(client, kind, id) {
  const tracker = kind === "user" ? client.trackUser(id) : kind === "job" ? client.track(id, { history: false }) : client.trackAll();
  const cards = new Map();
  let limit = SHOWN;

  const draw = () => {
    const { jobs, error } = tracker.snapshot;
    const known = jobs.filter(({ latest }) => latest);
    setText($("room-error"), error?.message ?? jobs.find((job) => job.error)?.error.message ?? "");
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
    for (const [jobId, card] of cards) { // remove the oldest cards above the limit, except open ones
      if (cards.size <= limit) break;
      if (card.isOpen) continue;
      card.node.remove();
      cards.delete(jobId);
    }
  };

  /**
   * Insert a card. Operations that need review come first; within both groups the order is that of acceptance, newest
   * first.
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
    if (!restored) setText($("announcer"), `${shorten(event.tokenAddress)} ${displayState(event).text}: ${event.phaseDescription}`);
  });
  showTotals([]);
  // An empty room is known to be empty only after it was joined.
  const waiting = setTimeout(draw, 1_000);

  return () => {
    clearTimeout(waiting);
    for (const card of cards.values()) card.close();
    tracker.close();
    $("jobs").replaceChildren();
    setText($("room-error"), "");
    $("empty").hidden = $("more").hidden = true;
  };
}
