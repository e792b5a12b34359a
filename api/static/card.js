// One operation as a card. It is made once, and only what has changed is drawn.
import { confirmCancel } from "/static/confirm.js";
import { showDetails } from "/static/details.js";
import { count, moment, shorten, sol } from "/static/format.js";
import { results, split, standing } from "/static/outcome.js";
import { $, copyButton, say } from "/static/page.js";

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

  /** Whether an operator must look at it: it then comes first in lists. */
  get needsReview() {
    return this.#latest !== null && standing(this.#latest, this.#needsReview).kind === "review";
  }

  /** `needsReview` is what a list says; an event alone says what was so at its job's end. */
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
    const { kind, words } = standing(latest, needsReview);
    this.node.dataset.standing = kind;
    say(badge, words);
    say(facts, [sol(latest.buyAmount), latest.mode, latest.platform === "unknown" ? "" : latest.platform, `user ${latest.userId}`].filter(Boolean).join(" · "));
    fill.style.transform = `scaleX(${progress / 100})`;
    bar.setAttribute("aria-valuenow", String(Math.round(progress)));
    bar.setAttribute("aria-valuetext", ended ? [words, results(latest)].filter(Boolean).join(": ") : `${Math.round(progress)} %, ${phaseTitle}`);
    fill.hidden = ended && split(parts, latest);
    say(now, ended ? endOf(latest, kind) : `${phase}/${totalPhases} ${phaseTitle}: ${details.currentOperation ?? ""}`);
    say(left, ended ? moment(latest.timestamp) : remaining(details.estimatedTimeRemaining, progress));
    say(counts, ended ? (kind === "review" ? "An operator must find out what is unknown." : "") : progressOfBuys(details));
    say(error, details.errorCode ? `${details.errorCode}: ${details.error}` : "");
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

  /** End what it follows. */
  close() {
    this.#hideDetails?.();
    this.#hideDetails = null;
  }

  async #cancel() {
    if (!await confirmCancel(`${sol(this.#latest.buyAmount)} of ${this.#latest.tokenAddress}`)) return;
    const { cancel, error } = this.#parts;
    this.#cancelling = cancel.disabled = true;
    say(cancel, "Cancelling…");
    cancel.removeAttribute("aria-label"); // it would no longer say what is to be read
    try {
      await this.#client.cancel(this.jobId);
    } catch (failure) {
      say(error, failure.message);
      this.#cancelling = cancel.disabled = false;
      say(cancel, "Cancel");
    }
  }
}

/** How it ended: by the parts of the bar, unless all its buys ended alike. */
function endOf(latest, kind) {
  const told = results(latest);
  if (kind === "completed" || kind === "failed" || !told) return latest.phaseDescription;
  return `${told} · ${sol(latest.details.totalSpent)} spent`;
}

const remaining = (ms, progress) => (ms === undefined ? `${progress.toFixed(0)} %` : `${progress.toFixed(0)} % · about ${Math.ceil(ms / 1_000)} s left`);

function progressOfBuys({ successfulBuys, failedBuys, unknownBuys, totalSpent }) {
  if (!totalSpent && !failedBuys && !unknownBuys) return "";
  return [
    `${count(successfulBuys, "buy")} so far`, failedBuys ? `${failedBuys} failed` : "", unknownBuys ? `${unknownBuys} unknown` : "", `${sol(totalSpent)} spent`,
  ].filter(Boolean).join(" · ");
}
