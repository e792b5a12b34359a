// The button that downloads the matching operations as CSV.
import { html, useState } from "/static/third_party/preact.js";
import { apiQuery } from "/static/console/operations/filters.js";
import { T } from "/static/console/texts.js";
import { errorText } from "/static/console/ui.js";

export function CsvButton({ session, filters }) {
  const [state, setState] = useState({ busy: false, error: null });
  const download = async () => {
    setState({ busy: true, error: null });
    try {
      const response = await session.rest.fetch("GET", `/api/cto/jobs.csv?${apiQuery(filters)}`); // a link could not send the token
      save(await response.blob(), "operations.csv");
      setState({ busy: false, error: null });
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  const { busy, error } = state;
  return html`<span class="csv"><button type="button" title=${T.list.csvTitle} disabled=${busy} onClick=${download}>${T.list.csv}</button>
    <span class="error" role="alert">${error && (error.code === "not_found" ? T.list.csvAbsent : errorText(error))}</span></span>`;
}

/** Let the browser save a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 0);
}
