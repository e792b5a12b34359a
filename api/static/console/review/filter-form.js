// The filters above the reviews. A change is a new address.
import { html, useState } from "/static/third_party/preact.js";
import { addressOf, FilterText } from "/static/console/query-filters.js";
import { navigate } from "/static/console/router.js";
import { T } from "/static/console/texts.js";

/** `filters` are those of the address; the form gets a new key when they change. */
export function FilterForm({ filters }) {
  const [values, setValues] = useState(filters);
  const submit = (submission) => {
    submission.preventDefault();
    navigate(addressOf("/review", Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.trim()]))));
  };
  return html`<form class="filters text-filters" role="search" aria-label=${T.filters.label} onSubmit=${submit}>
    ${Object.keys(filters).map((name) => html`<${FilterText} id=${`review-${name}`} label=${T.filters.kinds[name]} value=${values[name]}
      onInput=${(value) => setValues({ ...values, [name]: value })} />`)}
    <button>${T.filters.apply}</button></form>`;
}
