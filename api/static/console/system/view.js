import { html } from "/static/third_party/preact.js";
export const SystemView = () => html`<p>todo</p>`;
