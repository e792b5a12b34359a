// Starts the console: one session of the caller, and the view of the address.
import { html, render, useEffect, useState } from "/static/third_party/preact.js";
import { App } from "/static/console/app.js";
import { Session } from "/static/console/session.js";

function Root() {
  const [session, setSession] = useState(() => new Session());
  useEffect(() => () => session.close(), [session]);
  const signIn = (token) => {
    Session.signIn(token);
    setSession(new Session());
  };
  return html`<${App} key=${session} session=${session} signIn=${signIn} />`;
}

render(html`<${Root} />`, document.getElementById("app"));
