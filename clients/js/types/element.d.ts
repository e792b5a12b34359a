/**
 * `<cto-progress job="…" url="…">`: one job's progress, for any page.
 *
 * Attributes: `job`; `url`, by default the page's own origin; `token`. Elements with the same `url` and `token` share a
 * client; a page that has one sets the property `client` instead. It sets its attributes `status` and, at the end,
 * `outcome`. Events, which bubble: `cto-progress` and `cto-complete`, with the event as `detail`. Style it by
 * `--cto-accent`, `--cto-good`, `--cto-warn`, `--cto-bad`, `--cto-track`, and the parts `bar`, `fill`, `title`, `percent`, `now`, `error`.
 *
 * @module
 */
/** A server that renders a page has no elements: there the class can be imported, but not made. */
declare const Base: {
    new (): HTMLElement;
    prototype: HTMLElement;
};
export declare class CTOProgress extends Base {
    #private;
    static observedAttributes: string[];
    constructor();
    /** The page's own client, if it has one. */
    get client(): import("./client.js").Client | null;
    set client(client: import("./client.js").Client | null);
    connectedCallback(): void;
    disconnectedCallback(): void;
    attributeChangedCallback(): void;
}
export {};
