// The access token of this tab. It is kept until the tab is closed.
import { claimsOf } from "/client/index.js";
import { $, setText } from "/static/page.js";

const TOKEN = "cto-token";
const SIGN_IN_CODES = new Set(["unauthorized", "invalid_token", "token_expired", "token_revoked"]);

export const token = () => sessionStorage.getItem(TOKEN) ?? undefined;

/** Return the user id of a token without a role: its owner may see only their own operations. */
export function ownUser() {
  const { sub, role } = claimsOf(token());
  return role ? undefined : sub;
}

/** Connect the sign-in form. `onSignIn` is called after a new token was stored. */
export function session(onSignIn) {
  $("sign-in-form").onsubmit = (submission) => {
    submission.preventDefault();
    sessionStorage.setItem(TOKEN, submission.target.elements.token.value.trim());
    submission.target.reset();
    $("sign-in").hidden = true;
    onSignIn();
  };
  $("sign-out").onclick = () => {
    sessionStorage.clear(); // also clears the events that are kept for a reload
    location.reload();
  };
}

/** Show the sign-in form if the gateway requires another token. Returns whether it does. */
export function requestSignIn({ state, error }) {
  const isRequired = state === "refused" && SIGN_IN_CODES.has(error?.code ?? "");
  if (!isRequired) return false;
  setText($("sign-in-error"), token() ? error.message : "");
  if ($("sign-in").hidden) {
    $("sign-in").hidden = false;
    $("sign-in-token").focus();
  }
  return true;
}
