// What every example connects to, by its own address: ?url= (the page's own origin), ?token=, or ?simulate.
import { connect } from "../src/index.js";
import { simulate } from "../src/simulate.js";

const query = new URLSearchParams(location.search);

/** @param {any} [io] socket.io-client's, for those that use it */
export const client = (io) => query.has("simulate") ? simulate({ speed: 2 })
  : connect({ url: query.get("url") ?? location.origin, token: query.get("token") ?? undefined, io });

/** An operation of a user, as a page may start one. */
export const request = () => /** @type {const} */ ({
  tokenAddress: "9FdjJ7S6g5LjAKFANKTm4WmAexYhHGusGFGi4VxEpump",
  userId: query.get("user") ?? "demo",
  userChatId: 1,
  mode: "standard",
  buyAmount: 0.3,
  walletCount: 3,
});
