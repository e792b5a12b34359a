// The filters above the reviews. A change is a new address.
import { html, useState } from "/static/third_party/preact.js";
import { navigate } from "/static/console/router.js";
import { queryOf } from "/static/console/review/list.js";
import { T } from "/static/console/texts.js";

const NAMES = { userId: T.filters.kinds.userId, tokenAddress: T.filters.kinds.tokenAddress };

/** `filters` are those of the address; the form gets a new key when they change. */
export function FilterForm({ filters }) {
  const [values, setValues] = useState(filters);
  const submit = (submission) => {
    submission.preventDefault();
    const query = queryOf(Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.trim()])));
    navigate(query.size ? `/review?${query}` : "/review");
  };
  return html`<form class="filters audit-filters" role="search" aria-label=${T.filters.label} onSubmit=${submit}>
    ${Object.entries(NAMES).map(([name, label]) => html`<label class="hidden" for=${`review-${name}`}>${label}</label>
      <input id=${`review-${name}`} type="search" value=${values[name]} placeholder=${label} spellcheck="false" autocomplete="off"
        onInput=${({ target }) => setValues({ ...values, [name]: target.value })} />`)}
    <button>${T.audit.apply}</button></form>`;
}
