// Who is signed in, in this tab. The token is kept until the tab is closed.
import { claimsOf } from "/client/index.js";
import { $, say } from "/static/page.js";

const TOKEN = "cto-token";
const ASK = new Set(["unauthorized", "invalid_token", "token_expired", "token_revoked"]);

export const token = () => sessionStorage.getItem(TOKEN) ?? undefined;

/** The user whose token it is, if it is a user's: that one may see the own operations only. */
export function ownUser() {
  const { sub, role } = claimsOf(token());
  return role ? undefined : sub;
}

/** Let the form sign in; `signedIn` is called with a new token kept. */
export function session(signedIn) {
  $("sign-in-form").onsubmit = (submission) => {
    submission.preventDefault();
    sessionStorage.setItem(TOKEN, submission.target.elements.token.value.trim());
    submission.target.reset();
    $("sign-in").hidden = true;
    signedIn();
  };
  $("sign-out").onclick = () => {
    sessionStorage.clear(); // the events that were kept for a reload, too
    location.reload();
  };
}

/** Ask for a token when that is what is missing. Returns whether it is. */
export function askWho({ state, error }) {
  const asks = state === "refused" && ASK.has(error?.code ?? "");
  if (!asks) return false;
  say($("sign-in-error"), token() ? error.message : "");
  if ($("sign-in").hidden) {
    $("sign-in").hidden = false;
    $("sign-in-token").focus();
  }
  return true;
}
