// Named filters, kept in this browser.
import { html, useEffect, useRef, useState } from "/static/third_party/preact.js";
import { navigate } from "/static/console/router.js";
import { T } from "/static/console/texts.js";
import { Icon } from "/static/console/ui.js";

const KEY = "cto-views";

/** `current` is the address of the list with its filters. */
export function SavedViews({ current }) {
  const [views, setViews] = useState(read);
  const [name, setName] = useState("");
  const menu = useRef();
  useCloseOutside(menu);
  const store = (next) => {
    setViews(next);
    try {
      localStorage.setItem(KEY, JSON.stringify(next));
    } catch { /* without storage, views last until the page is closed */ }
  };
  const add = (submission) => {
    submission.preventDefault();
    if (!name.trim()) return;
    store([...views.filter((view) => view.name !== name.trim()), { name: name.trim(), address: current }]);
    setName("");
  };
  const open = (address) => {
    menu.current.open = false;
    navigate(address);
  };
  return html`<details class="menu" ref=${menu} onKeyDown=${({ key }) => { if (key === "Escape") menu.current.open = false; }}>
    <summary>${T.views.label}</summary><div class="menu-items">
      ${views.length === 0 && html`<p class="soft">${T.views.none}</p>`}
      <ul>${views.map((view) => html`<li key=${view.name}>
        <button class="quiet" type="button" aria-current=${String(view.address === current)} onClick=${() => open(view.address)}>${view.name}</button>
        <button class="quiet" type="button" aria-label=${T.views.remove(view.name)} onClick=${() => store(views.filter((each) => each !== view))}><${Icon} kind="close" /></button></li>`)}</ul>
      <form onSubmit=${add}><label for="view-name">${T.views.save}</label>
        <input id="view-name" value=${name} maxlength="40" placeholder=${T.views.name} autocomplete="off" onInput=${({ target }) => setName(target.value)} />
        <button>${T.views.ok}</button></form></div></details>`;
}

function read() {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return stored.filter(({ name, address }) => typeof name === "string" && typeof address === "string" && address.startsWith("/"));
  } catch {
    return [];
  }
}

function useCloseOutside(menu) {
  useEffect(() => {
    // The path, because a click may remove its target from the menu.
    const onClick = (click) => { if (menu.current && !click.composedPath().includes(menu.current)) menu.current.open = false; };
    addEventListener("click", onClick);
    return () => removeEventListener("click", onClick);
  }, []);
}
