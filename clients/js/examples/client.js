// The client of every example, from the page's query: ?url= (by default the page's origin), ?token=, or ?simulate. ?job= keeps the started jobs.
import { connect } from "../src/index.js";
import { simulate } from "../src/simulate.js";

const query = new URLSearchParams(location.search);

/** Create the client. @param {any} [io] `io` of socket.io-client, in examples that use it */
export const client = (io) => query.has("simulate") ? simulate({ speed: 2 })
  : connect({ url: query.get("url") ?? location.origin, token: query.get("token") ?? undefined, io });

/** The jobs that the page's address keeps, oldest first: a reload shows them again. In an app, use AsyncStorage. */
export const keptJobs = () => query.getAll("job");

/** Keep a job in the page's address. @param {string} jobId */
export function keepJob(jobId) {
  const address = new URL(location.href);
  address.searchParams.append("job", jobId);
  history.replaceState(null, "", address);
}

/** Return a request for an operation. */
export const request = () => /** @type {const} */ ({
  tokenAddress: "9FdjJ7S6g5LjAKFANKTm4WmAexYhHGusGFGi4VxEpump",
  userId: query.get("user") ?? "demo",
  userChatId: 1,
  mode: "standard",
  buyAmount: 0.3,
  walletCount: 3,
});
