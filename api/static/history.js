// The history: pages of operations, filtered by status and user. Without a status, operations that need review come first.
import { Card } from "/static/card.js";
import { $, setText } from "/static/page.js";

const PAGE = 20;
const REVIEW = "needs_review";

/** Connect the history to its filters. Returns `{ show, close }`. */
export function history(getClient, ownUser) {
  let cards = [];
  let cursor = null;
  let lastRequest = 0; // responses to earlier requests are ignored

  const load = async (isMore) => {
    const request = (lastRequest += 1);
    const { status, userId: filter } = Object.fromEntries(new FormData($("filters")));
    const userId = ownUser() ? "" : filter.trim();
    const list = (options) => getClient().jobs({ userId, limit: PAGE, ...options });
    try {
      const [pinned, page] = await Promise.all([
        !isMore && !status ? list({ status: REVIEW }) : { jobs: [] },
        list({ status, cursor: isMore ? cursor : null }),
      ]);
      if (request !== lastRequest) return;
      if (!isMore) close();
      cursor = page.nextCursor;
      for (const { jobId, latestProgress, needsReview } of [...pinned.jobs, ...page.jobs]) {
        if (cards.some((card) => card.jobId === jobId)) continue; // it needs review, so it is already shown
        const card = new Card(getClient(), jobId);
        card.update(latestProgress, needsReview);
        cards.push(card);
        $("past").append(card.node);
      }
      setText($("history-error"), "");
      $("history-empty").hidden = cards.length > 0;
      $("older").hidden = !cursor;
    } catch (error) {
      if (request !== lastRequest) return;
      const fields = error.details?.fields ?? {};
      setText($("history-error"), Object.keys(fields).length ? Object.values(fields).flat(3).join(" ") : error.message);
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
