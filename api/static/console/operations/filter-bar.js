// The filters above the table. A change is a new address.
import { html, useState } from "/static/third_party/preact.js";
import { shorten } from "/static/console/format.js";
import { addressOf, SEARCHED, stateChanges, stateOf } from "/static/console/operations/filters.js";
import { search } from "/static/console/operations/search.js";
import { navigate } from "/static/console/router.js";
import { T } from "/static/console/texts.js";
import { errorText, Icon } from "/static/console/ui.js";

const KINDS = Object.keys(T.filters.kinds);
const ANY = "";

export function FilterBar({ session, filters, searchField }) {
  const change = (changes) => navigate(addressOf({ ...filters, ...changes }));
  return html`<div class="filters" role="search" aria-label=${T.filters.label}>
    <${Search} session=${session} filters=${filters} field=${searchField} kinds=${session.user ? KINDS.filter((kind) => kind !== "userId") : KINDS} />
    <${StateFilter} filters=${filters} change=${change} />
    <${Choice} name="mode" label=${T.filters.mode} value=${filters.mode ?? ""} onChange=${(mode) => change({ mode })}
      choices=${{ "": T.filters.anyMode, standard: "standard", prefunded: "prefunded" }} />
    <${RangeFilter} filters=${filters} change=${change} />
    <${Chips} filters=${filters} change=${change} /></div>`;
}

const Choice = ({ name, label, value, choices, onChange }) => html`<label class="hidden" for=${`filter-${name}`}>${label}</label>
  <select id=${`filter-${name}`} value=${value} data-set=${String(value !== "")} onChange=${({ target }) => onChange(target.value)}>
    ${Object.entries(choices).map(([key, text]) => html`<option value=${key}>${text}</option>`)}</select>`;

function StateFilter({ filters, change }) {
  const value = stateOf(filters);
  const typed = value && !T.filters.states[value] && { [value]: value.replace("=", ": ") }; // e.g. status=failed, by hand
  return html`<${Choice} name="state" label=${T.filters.state} value=${value} onChange=${(choice) => change(stateChanges(filters, choice))}
    choices=${{ "": T.filters.anyState, ...T.filters.states, ...typed }} />`;
}

function RangeFilter({ filters, change }) {
  const { range, from, to } = filters;
  const choice = from || to || range === "custom" ? "custom" : range ?? "";
  const moment = (name, value) => html`<label class="moment"><span>${T.filters[name]}</span>
    <input type="datetime-local" step="1" value=${localTime(value)} onChange=${({ target }) => change({ range: "custom", [name]: target.value && String(new Date(target.value).getTime()) })} /></label>`;
  return html`<${Choice} name="range" label=${T.filters.range} value=${choice} choices=${T.filters.ranges} onChange=${(next) => change({ range: next, from: "", to: "" })} />
    ${choice === "custom" && html`${moment("from", from)}${moment("to", to)}`}`;
}

/** Return a time in ms as the value of a field of local time. */
const localTime = (ms) => (ms ? new Date(ms - new Date(Number(ms)).getTimezoneOffset() * 60_000).toISOString().slice(0, 19) : "");

function Search({ session, filters, field, kinds }) {
  const [kind, setKind] = useState(ANY); // chosen by the user
  const [text, setText] = useState("");
  const [{ isBusy, error }, setState] = useState({ isBusy: false, error: "" });
  const submit = async (submission) => {
    submission.preventDefault();
    if (!text.trim() || isBusy) return;
    setState({ isBusy: true, error: "" });
    try {
      await search(session, filters, text.trim(), kind);
      setText("");
      setKind(ANY);
      setState({ isBusy: false, error: "" });
      document.getElementById("main").focus({ preventScroll: true }); // so that j and k move through the result
    } catch (failure) {
      setState({ isBusy: false, error: errorText(failure) });
    }
  };
  const onKeyDown = ({ key, target }) => { if (key === "Escape") target.blur(); };
  return html`<form class="search" onSubmit=${submit} aria-busy=${String(isBusy)}>
    <label class="hidden" for="search-by">${T.filters.searchBy}</label>
    <select id="search-by" value=${kind} onChange=${({ target }) => setKind(target.value)}><option value=${ANY}>${T.filters.anyKind}</option>${kinds.map((each) => html`<option value=${each}>${T.filters.kinds[each]}</option>`)}</select>
    <label class="hidden" for="search">${T.filters.search}</label>
    <input ref=${field} id="search" type="search" value=${text} placeholder=${T.filters.placeholder} spellcheck="false" autocomplete="off"
      onInput=${({ target }) => setText(target.value)} onKeyDown=${onKeyDown} /></form>
    ${error && html`<p class="error" role="alert">${error}</p>`}`;
}

/** The searched values, each with a button that removes it. */
const Chips = ({ filters, change }) => SEARCHED.filter((name) => filters[name] && stateOf(filters) !== `${name}=${filters[name]}`).map((name) => html`
  <button key=${name} class="chip" type="button" title=${filters[name]} aria-label=${T.filters.remove(T.filters.kinds[name], filters[name])}
    onClick=${() => change({ [name]: "" })}><span class="soft">${T.filters.kinds[name]}</span> <span class="mono">${shorten(filters[name], 6)}</span> <${Icon} kind="close" /></button>`);
