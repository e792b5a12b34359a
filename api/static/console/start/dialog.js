import { html } from "/static/third_party/preact.js";
export const StartDialog = () => null;
