/**
 * `<cto-progress job="…" url="…">`: a custom element that shows the progress of one job.
 *
 * Attributes: `job`; `url`, by default the page's origin; `token`. Elements with the same `url` and `token` share a
 * client. A page with its own client sets the property `client` instead. While there is no connection, the element shows why.
 * It sets its attributes `status` and, at the end, `outcome`. It dispatches `cto-progress` and `cto-complete`, which bubble, with
 * the event as `detail`. Style it with `--cto-accent`, `--cto-good`, `--cto-warn`, `--cto-bad`, `--cto-track`, and the parts
 * `bar`, `fill`, `title`, `percent`, `now`, `error`.
 *
 * @module
 */
/** On a server, which has no `HTMLElement`, the class can be imported but not created. */
declare const Base: {
    new (): HTMLElement;
    prototype: HTMLElement;
};
export declare class CTOProgress extends Base {
    #private;
    static observedAttributes: string[];
    constructor();
    /** The page's own client; null if the element uses a shared one. */
    get client(): import("./client.js").Client | null;
    set client(client: import("./client.js").Client | null);
    connectedCallback(): void;
    disconnectedCallback(): void;
    attributeChangedCallback(): void;
}
export {};
