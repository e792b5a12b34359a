// The custom element: no build. Serve clients/js and open /examples/element/?url=http://127.0.0.1:3000
import "../../src/element.js";
import { client as connectTo, request } from "../client.js";

const client = connectTo();
const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

find("start").onclick = async () => {
  const { jobId } = await client.submit(request());
  const card = Object.assign(document.createElement("div"), { className: "job" });
  const progress = document.createElement("cto-progress");
  Object.assign(progress, { client });
  progress.setAttribute("job", jobId);
  card.append(progress);
  find("jobs").prepend(card);
};

// The element's events bubble.
find("jobs").addEventListener("cto-complete", (event) => {
  const { status, details } = /** @type {CustomEvent} */ (event).detail;
  find("batch").textContent = `The last operation ${status}, with ${details.successfulBuys} buys.`;
});
