// The settings of the gateway that the page needs. The gateway writes them into the page.

const setting = (name) => document.querySelector(`meta[name="cto-${name}"]`).content;

/** Whether requests need a token. */
export const AUTH_REQUIRED = setting("auth") === "required";
/** The market on which operations trade, e.g. "paper". */
export const MARKET = setting("market");
/** The platforms that a request may name; empty: any. */
export const PLATFORMS = setting("platforms").split(",").filter(Boolean);
/** Whether the gateway can read the balances of wallets. */
export const HAS_BALANCES = setting("balances") === "true";
/** The actions in the audit log. */
export const AUDIT_ACTIONS = setting("audit-actions").split(",");
/** The SOL from which on a start must be confirmed. */
export const CONFIRM_SOL = Number(setting("confirm-sol"));

const EXPLORER = setting("explorer-url");
const TRACES = setting("trace-url");

/** Return the address of a transaction in the configured explorer, or null without one. */
export const explorerUrl = (signature) => (EXPLORER ? EXPLORER.replace("{signature}", encodeURIComponent(signature)) : null);

/** Return the address of an operation's trace, or null without a configured one or without a trace. */
export const traceUrl = (traceId) => (TRACES && traceId ? TRACES.replace("{traceId}", encodeURIComponent(traceId)) : null);
