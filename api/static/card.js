// The card of one operation. It is created once; an update changes only the texts that differ.
import { confirmCancel } from "/static/confirm.js";
import { showDetails } from "/static/details.js";
import { count, moment, shorten, sol } from "/static/format.js";
import { buyResults, displayState, drawBuyParts } from "/static/outcome.js";
import { $, copyButton, setText } from "/static/page.js";

export class Card {
  #client;
  #parts;
  #latest = null;
  #needsReview;
  #hideDetails = null;
  #cancelling = false;

  constructor(client, jobId) {
    this.#client = client;
    this.jobId = jobId;
    this.node = $("job").content.firstElementChild.cloneNode(true);
    this.node.id = `job-${jobId}`;
    this.#parts = Object.fromEntries([...this.node.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    const { toggle, cancel, details } = this.#parts;
    details.id = `details-${jobId}`;
    toggle.setAttribute("aria-controls", details.id);
    toggle.onclick = () => this.toggle();
    cancel.onclick = () => this.#cancel();
  }

  get isOpen() {
    return this.#hideDetails !== null;
  }

  /** Whether an operator must look at the operation. Such cards come first in lists. */
  get needsReview() {
    return this.#latest !== null && displayState(this.#latest, this.#needsReview).kind === "review";
  }

  /** Draw the latest event. `needsReview` is the current value from a list; the default is that of the final event. */
  update(latest, needsReview) {
    if (latest === this.#latest) return;
    const isFirst = this.#latest === null;
    this.#latest = latest;
    this.#needsReview = needsReview;
    const { token, badge, facts, bar, fill, parts, now, left, counts, error, toggle, cancel } = this.#parts;
    const { details = {}, status, progress, phase, phaseTitle, totalPhases } = latest;
    const ended = phase === totalPhases;
    if (isFirst) {
      const name = shorten(latest.tokenAddress);
      token.textContent = name;
      token.title = latest.tokenAddress;
      token.after(copyButton(latest.tokenAddress, "token address"));
      toggle.setAttribute("aria-label", `Details of ${name}`);
      cancel.setAttribute("aria-label", `Cancel ${name}`);
      bar.setAttribute("aria-label", `Progress of ${name}`);
    }
    this.node.dataset.status = status;
    const { kind, text } = displayState(latest, needsReview);
    this.node.dataset.state = kind;
    setText(badge, text);
    setText(facts, [sol(latest.buyAmount), latest.mode, latest.platform === "unknown" ? "" : latest.platform, `user ${latest.userId}`].filter(Boolean).join(" · "));
    fill.style.transform = `scaleX(${progress / 100})`;
    bar.setAttribute("aria-valuenow", String(Math.round(progress)));
    bar.setAttribute("aria-valuetext", ended ? [text, buyResults(latest)].filter(Boolean).join(": ") : `${Math.round(progress)} %, ${phaseTitle}`);
    fill.hidden = ended && drawBuyParts(parts, latest);
    setText(now, ended ? endText(latest, kind) : `${phase}/${totalPhases} ${phaseTitle}: ${details.currentOperation ?? ""}`);
    setText(left, ended ? moment(latest.timestamp) : remainingText(details.estimatedTimeRemaining, progress));
    setText(counts, ended ? (kind === "review" ? "An operator must resolve the unknown outcomes." : "") : buyCounts(details));
    setText(error, details.errorCode ? `${details.errorCode}: ${details.error}` : "");
    cancel.hidden = ended;
    cancel.disabled = this.#cancelling;
  }

  toggle(open = !this.isOpen) {
    if (open === this.isOpen) return;
    const { details, toggle } = this.#parts;
    details.hidden = !open;
    toggle.setAttribute("aria-expanded", String(open));
    if (open) this.#hideDetails = showDetails(this.#client, this.jobId, details);
    else this.close();
  }

  /** Stop following the operation. */
  close() {
    this.#hideDetails?.();
    this.#hideDetails = null;
  }

  async #cancel() {
    if (!await confirmCancel(`${sol(this.#latest.buyAmount)} of ${this.#latest.tokenAddress}`)) return;
    const { cancel, error } = this.#parts;
    this.#cancelling = cancel.disabled = true;
    setText(cancel, "Cancelling…");
    cancel.removeAttribute("aria-label"); // it would hide the new text from screen readers
    try {
      await this.#client.cancel(this.jobId);
    } catch (failure) {
      setText(error, failure.message);
      this.#cancelling = cancel.disabled = false;
      setText(cancel, "Cancel");
    }
  }
}

/** The text of an ended operation: the results of its buys, or its description if all buys had the same result. */
function endText(latest, kind) {
  const results = buyResults(latest);
  if (kind === "completed" || kind === "failed" || !results) return latest.phaseDescription;
  return `${results} · ${sol(latest.details.totalSpent)} spent`;
}

const remainingText = (ms, progress) => (ms === undefined ? `${progress.toFixed(0)} %` : `${progress.toFixed(0)} % · about ${Math.ceil(ms / 1_000)} s left`);

function buyCounts({ successfulBuys, failedBuys, unknownBuys, totalSpent }) {
  if (!totalSpent && !failedBuys && !unknownBuys) return "";
  return [
    `${count(successfulBuys, "buy")} so far`, failedBuys ? `${failedBuys} failed` : "", unknownBuys ? `${unknownBuys} unknown` : "", `${sol(totalSpent)} spent`,
  ].filter(Boolean).join(" · ");
}
