// Earlier operations, page by page, by status and user.
import { Card } from "/static/card.js";
import { $, say } from "/static/page.js";

const PAGE = 20;

/** Let the history show what its filters say. Returns `{ show, close }`. */
export function history(getClient, ownUser) {
  let cards = [];
  let cursor = null;
  let asked = 0; // an answer that is no longer wanted is dropped

  const load = async (isMore) => {
    const ask = (asked += 1);
    const { status, userId } = Object.fromEntries(new FormData($("filters")));
    try {
      const page = await getClient().jobs({ status, userId: ownUser() ? "" : userId.trim(), limit: PAGE, cursor: isMore ? cursor : null });
      if (ask !== asked) return;
      if (!isMore) close();
      cursor = page.nextCursor;
      for (const { jobId, latestProgress } of page.jobs) {
        const card = new Card(getClient(), jobId);
        card.update(latestProgress);
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
