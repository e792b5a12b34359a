// The page of a caller without a valid token.
import { html, useEffect, useRef, useState } from "/static/third_party/preact.js";
import { T } from "/static/console/texts.js";

export function SignIn({ session, error, signIn }) {
  const field = useRef();
  const [refusal, setRefusal] = useState("");
  useEffect(() => field.current.focus(), []);
  const submit = (submission) => {
    submission.preventDefault();
    try {
      signIn(field.current.value);
    } catch (cause) {
      setRefusal(cause.message);
    }
  };
  return html`<main id="main"><section class="panel sign-in" aria-labelledby="sign-in-title">
    <h1 id="sign-in-title">${T.session.title}</h1>
    <form onSubmit=${submit}>
      <label for="sign-in-token">${T.session.token}</label>
      <input ref=${field} id="sign-in-token" name="token" type="password" required spellcheck="false" autocomplete="off" aria-describedby="sign-in-error" />
      <p id="sign-in-error" class="error" role="alert">${refusal || (session.hasToken ? error.message : "")}</p>
      <button class="primary">${T.session.signIn}</button>
    </form>
    <p class="hint">${T.session.hint}<br /><code>${T.session.command}</code></p>
    <p class="hint">${T.session.operatorHint}<br /><code>${T.session.operatorCommand}</code></p></section></main>`;
}
