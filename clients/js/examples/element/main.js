// The custom element: no build. Serve clients/js and open /examples/element/?url=http://127.0.0.1:3000
import "../../src/element.js";
import { client as connectTo, keepJob, keptJobs, request } from "../client.js";

const client = connectTo();
const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
client.onConnection(({ state, error }) => { find("connection").textContent = `Connection: ${error?.message ?? state}`; });

find("start").onclick = () => client.submit(request()).then(
  ({ jobId }) => {
    keepJob(jobId);
    show(jobId);
  },
  (error) => { find("batch").textContent = error.message; },
);
for (const jobId of keptJobs()) show(jobId);

/** @param {string} jobId */
function show(jobId) {
  const card = Object.assign(document.createElement("div"), { className: "job" });
  const progress = document.createElement("cto-progress");
  Object.assign(progress, { client });
  progress.setAttribute("job", jobId);
  card.append(progress);
  find("jobs").prepend(card);
}

// The element's events bubble.
find("jobs").addEventListener("cto-complete", (event) => {
  const { outcome, successfulBuys } = /** @type {CustomEvent} */ (event).detail.details;
  find("batch").textContent = `The outcome of the last operation is ${outcome}, with ${successfulBuys} buys.`;
});
