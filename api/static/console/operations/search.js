// Finds out what a searched text is. An address may be a token, a wallet or a user id, so the gateway is asked.
import { ID, ID_START, named, UUID } from "/static/console/job-ids.js";
import { navigate, operationPath } from "/static/console/router.js";
import { addressOf, SEARCHED, stateOf } from "/static/console/operations/filters.js";

const BASE58 = /^[1-9A-HJ-NP-Za-km-z]+$/;
const SHOWN = 8; // characters of an id that lists show

/** Return the kinds that a text can be, the likeliest first. `isOwn`: the caller sees only their own operations. */
export function kindsOf(text, isOwn = false) {
  if (UUID.test(text)) return ["jobId"];
  if (BASE58.test(text) && text.length >= 80) return ["signature"];
  const isAddress = BASE58.test(text) && text.length >= 32 && text.length <= 44;
  const addresses = /(pump|bonk)$/.test(text) ? ["tokenAddress", "wallet"] : ["wallet", "tokenAddress"];
  const others = [
    !isOwn && /^[\w.:@+-]{1,64}$/.test(text) && "userId", /^[a-z0-9_-]{1,32}$/.test(text) && "platform",
    /^[a-z]+_[a-z_]+$/.test(text) && "errorCode", ID.test(text) && "jobId",
  ].filter(Boolean);
  if (isAddress) return [...addresses, ...others];
  return ID_START.test(text) && text.length >= SHOWN ? ["jobId", ...others.slice(0, -1)] : others.length ? others : ["jobId"];
}

/**
 * Show the operations of a text: those of the first kind that has any. The text replaces an earlier one in `filters`.
 * `kind`: as chosen by the user, or "" for any.
 */
export async function search(session, filters, text, kind) {
  const kinds = kind ? [kind] : kindsOf(text, Boolean(session.user));
  const addresses = await Promise.all(kinds.map((each) => find(session, filters, text, each, kinds.length > 1)));
  navigate(addresses.find(Boolean) ?? addressWith(filters, kinds.find((each) => each !== "jobId") ?? "jobId", text));
}

/** Return the address of the list in which a text is the only one. */
export function addressWith(filters, kind, text) {
  const others = SEARCHED.filter((name) => stateOf(filters) !== `${name}=${filters[name]}`);
  return addressOf({ ...filters, ...Object.fromEntries(others.map((name) => [name, ""])), [kind]: text });
}

/** Return the address that shows the operations of a text, or null if there are none. Without `isChecked` they are not looked up. */
async function find(session, filters, text, kind, isChecked) {
  if (kind === "jobId") return findOperation(session, text, isChecked);
  if (!isChecked) return addressWith(filters, kind, text);
  try {
    const { jobs } = await session.client.jobs({ [kind]: text, limit: 1 });
    return jobs.length ? addressWith(filters, kind, text) : null;
  } catch (error) {
    if (error.status === 400 || error.status === 403) return null; // it cannot be of this kind
    throw error;
  }
}

async function findOperation(session, text, isChecked) {
  const [job, ...others] = await named(session, text);
  if (job) return operationPath(others.length ? text : job.jobId); // its page lets the user choose one of several
  return isChecked ? null : operationPath(text); // its page says that there is no such operation
}
