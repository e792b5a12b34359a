import { html } from "/static/third_party/preact.js";
export const ReviewView = () => html`<p>todo</p>`;
