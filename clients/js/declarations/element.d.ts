import type { ProgressEvent } from "../types/types.js";
import type { Client } from "../types/client.js";
import type { CTOProgress } from "../types/element.js";

export * from "../types/element.js";

/** The attributes of `<cto-progress>`, and its property `client`. */
export interface CTOProgressAttributes {
  job?: string;
  url?: string;
  token?: string;
  client?: Client | null;
}

declare global {
  interface HTMLElementTagNameMap {
    "cto-progress": CTOProgress;
  }
  interface HTMLElementEventMap {
    "cto-progress": CustomEvent<ProgressEvent>;
    "cto-complete": CustomEvent<ProgressEvent>;
  }
}
