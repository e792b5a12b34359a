// The frame of every view: header, banners, dialogs, and the view of the address.
import { html, useEffect, useState } from "/static/third_party/preact.js";
import { AuditView } from "/static/console/audit/view.js";
import { Banners } from "/static/console/banners.js";
import { Header } from "/static/console/header.js";
import { WholeIds } from "/static/console/job-ids.js";
import { KeysDialog, useKeys } from "/static/console/keys.js";
import { useObservable } from "/static/console/observable.js";
import { OperationView } from "/static/console/operation/view.js";
import { OperationsView } from "/static/console/operations/view.js";
import { ReviewView } from "/static/console/review/view.js";
import { idsIn, navigate, replaceId, useRoute } from "/static/console/router.js";
import { SignIn } from "/static/console/sign-in.js";
import { StartDialog } from "/static/console/start/dialog.js";
import { SystemView } from "/static/console/system/view.js";
import { T } from "/static/console/texts.js";
import { Empty } from "/static/console/ui.js";

const VIEWS = { operations: OperationsView, operation: OperationView, review: ReviewView, audit: AuditView, system: SystemView, unknown: UnknownPage };

export function App({ session, signIn }) {
  const route = useRoute();
  const [dialog, setDialog] = useState(null);
  const connection = useObservable(session.connection);
  const [startValues, setStartValues] = useState({});
  const open = (name) => setDialog((before) => before ?? name);
  /** Open the start dialog with these values instead of its defaults. */
  const start = (values = {}) => {
    setStartValues(values);
    open("start");
  };
  useKeys({
    "?": () => open("keys"), n: () => start(),
    "g o": () => navigate("/"), "g r": () => navigate("/review"), "g a": () => navigate("/audit"), "g s": () => navigate("/system"),
  });
  const View = VIEWS[route.view];
  const title = route.view === "unknown" ? T.unknownPage.title : T.nav[route.view] ?? T.operation.title;
  useEffect(() => { document.title = `${title} · ${T.product}`; }, [title]);
  if (session.isSignedOut) return html`<${SignIn} session=${session} error=${connection.error} signIn=${signIn} />`;
  return html`<a class="skip" href="#main">${T.skip}</a>
    <${Header} session=${session} route=${route} openKeys=${() => open("keys")} />
    <${Banners} session=${session} />
    <main id="main" tabindex="-1" class=${`view-${route.view}`} data-stale=${String(connection.state !== "live" && connection.heardMs !== null)}>
      <${WholeIds} session=${session} texts=${idsIn(route)} isNoted=${route.view === "review"} replaced=${(text, jobId) => replaceId(route, text, jobId)}>
        <${View} key=${route.jobId ?? route.view} session=${session} route=${route} start=${start} /><//>
    </main>
    ${dialog === "keys" && html`<${KeysDialog} onClose=${() => setDialog(null)} />`}
    ${dialog === "start" && html`<${StartDialog} session=${session} initial=${startValues} onClose=${() => setDialog(null)} />`}`;
}

function UnknownPage() {
  return html`<h1 class="hidden">${T.unknownPage.title}</h1>
    <${Empty} title=${T.unknownPage.title}><p>${T.unknownPage.text}</p><p><a href="/">${T.unknownPage.link}</a></p><//>`;
}
