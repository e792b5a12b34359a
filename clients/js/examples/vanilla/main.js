// Plain JavaScript: no build. Serve clients/js and open /examples/vanilla/?url=http://127.0.0.1:3000
import { outcomeOf, statsOf } from "../../src/index.js";
import { client as connectTo, keepJob, keptJobs, request } from "../client.js";

const client = connectTo();
const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
client.onConnection(({ state, error }) => { find("connection").textContent = `Connection: ${error?.message ?? state}`; });

// All unfinished and new jobs of one user, also those that another page starts; and those that this page started before a reload.
const trackers = [client.track(keptJobs()), client.trackUser(request().userId)];
const summarize = () => {
  const jobs = new Map(trackers.flatMap(({ snapshot }) => snapshot.jobs).map((job) => [job.jobId, job]));
  const { total, completed, failed, byOutcome, totalSpent } = statsOf([...jobs.values()]);
  find("batch").textContent = `${completed + failed} of ${total} ended, ${byOutcome.full} in full, ${totalSpent.toFixed(4)} SOL spent`;
};
for (const tracker of trackers) {
  tracker.onChange(summarize);
  tracker.onProgress(draw);
}

find("start").onclick = () => client.submit(request()).then(
  ({ jobId }) => keepJob(jobId),
  (error) => { find("batch").textContent = error.message; },
);

/** @param {import("../../src/types.js").ProgressEvent} event */
function draw(event) {
  const { jobId, progress, phaseTitle, details } = event;
  let job = document.getElementById(jobId);
  if (!job) {
    job = Object.assign(document.createElement("div"), { id: jobId, className: "job" });
    const bar = Object.assign(document.createElement("progress"), { max: 100, ariaLabel: `Progress of ${jobId}` });
    job.append(document.createElement("strong"), bar, document.createElement("span"));
    find("jobs").prepend(job);
  }
  const [title, bar, now] = job.children;
  title.textContent = `${progress.toFixed(0)} % ${phaseTitle}`;
  /** @type {HTMLProgressElement} */ (bar).value = progress;
  now.textContent = details?.error ?? outcomeOf(event) ?? details?.currentOperation ?? "";
}
