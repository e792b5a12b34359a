// Filters in the query of a page's address, and their search fields.
import { html } from "/static/third_party/preact.js";

/** Return the filters of these names in the query of an address: "" for one that is not set. */
export const filtersOf = (query, names) => Object.fromEntries(names.map((name) => [name, query.get(name) ?? ""]));

/** Return the filters that are set, as a query. */
export const queryOf = (filters) => new URLSearchParams(Object.entries(filters).filter(([, value]) => value));

/** Return the address of a page with filters. */
export function addressOf(path, filters) {
  const query = queryOf(filters);
  return query.size ? `${path}?${query}` : path;
}

/** The text of a filter. `onInput` gets the new text. */
export function FilterText({ id, label, value, onInput }) {
  return html`<label class="hidden" for=${id}>${label}</label>
    <input id=${id} type="search" value=${value} placeholder=${label} spellcheck="false" autocomplete="off" onInput=${({ target }) => onInput(target.value)} />`;
}
