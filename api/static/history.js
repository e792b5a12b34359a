// Earlier operations, page by page, by status and user. Without a status, those that an operator must look at come first.
import { Card } from "/static/card.js";
import { $, say } from "/static/page.js";

const PAGE = 20;
const REVIEW = "needs_review";

/** Let the history show what its filters say. Returns `{ show, close }`. */
export function history(getClient, ownUser) {
  let cards = [];
  let cursor = null;
  let asked = 0; // an answer that is no longer wanted is dropped

  const load = async (isMore) => {
    const ask = (asked += 1);
    const { status, userId: named } = Object.fromEntries(new FormData($("filters")));
    const userId = ownUser() ? "" : named.trim();
    const list = (filter) => getClient().jobs({ userId, limit: PAGE, ...filter });
    try {
      const [pinned, page] = await Promise.all([
        !isMore && !status ? list({ status: REVIEW }) : { jobs: [] },
        list({ status, cursor: isMore ? cursor : null }),
      ]);
      if (ask !== asked) return;
      if (!isMore) close();
      cursor = page.nextCursor;
      for (const { jobId, latestProgress, needsReview } of [...pinned.jobs, ...page.jobs]) {
        if (cards.some((card) => card.jobId === jobId)) continue; // it is among those that come first
        const card = new Card(getClient(), jobId);
        card.update(latestProgress, needsReview);
        cards.push(card);
        $("past").append(card.node);
      }
      say($("history-error"), "");
      $("history-empty").hidden = cards.length > 0;
      $("older").hidden = !cursor;
    } catch (error) {
      if (ask !== asked) return;
      const fields = error.details?.fields ?? {};
      say($("history-error"), Object.keys(fields).length ? Object.values(fields).flat(3).join(" ") : error.message);
    }
  };

  const close = () => {
    for (const card of cards) card.close();
    cards = [];
    $("past").replaceChildren();
  };

  $("filters").onsubmit = (submission) => {
    submission.preventDefault();
    void load(false);
  };
  $("status").onchange = () => void load(false);
  $("older").onclick = () => void load(true);
  return { show: () => load(false), close };
}
