// The answers of the market about the steps of an operation: as texts, and as figures of the form.
import { html } from "/static/third_party/preact.js";
import { MARKET } from "/static/console/config.js";
import { exactSol, exactTokens, solNumber, tokenNumber } from "/static/console/format.js";
import { T } from "/static/console/texts.js";
import { Copy, errorText, Time } from "/static/console/ui.js";

const X = T.review.market;

const stateOf = ({ executed }) => (executed ? X.executed : X.notExecuted);

function detailsOf({ executed, final, spent, tokens, error }) {
  const fees = X.fees(exactSol(spent));
  if (executed) return tokens ? X.bought(exactSol(spent), exactTokens(tokens)) : fees;
  if (error || spent) return error ? X.failed(error, fees) : fees;
  return final ? X.expired : X.notYet;
}

/** Return what the market says about an order that it knows, as text. */
export const marketText = (order) => `${stateOf(order)}, ${detailsOf(order)}`;

/** Return whether the market knows an order, and it has one. */
export const isKnown = (order) => order !== undefined && order.executed !== null;

/** Return the values of the form for an order: numbers as a person would type them. */
export const figuresOf = ({ spent, tokens }) => ({ spent: spent ? solNumber(spent) : "", tokens: tokens ? tokenNumber(tokens) : "" });

/** Return whether the body of a resolution has the figures of an order. */
export const isSame = (order, { executed, spent = 0, tokens = 0 }) => order.executed === executed && order.spent === spent && order.tokens === tokens;

/** The answer of the market about a step. `order` is undefined if the step has none. */
export function MarketAnswer({ order }) {
  if (!isKnown(order)) return html`<span class="market">${X.label} ${X.unknown}</span>`;
  return html`<span class="market">${X.label} <strong>${stateOf(order)}</strong>, ${detailsOf(order)}${order.at && html` <span class="soft">(<${Time} ms=${order.at} relative=${false} />)</span>`}</span>`;
}

/** The reason for which the market gives no answer about an operation, and where else to look; nothing if it answers. */
export function NoMarketAnswer({ jobId, answer, error }) {
  if (!error && (!answer || answer.available)) return null;
  const command = X.command(jobId);
  return html`<p class="soft">${error ? errorText(error) : X.noAnswer(answer.reason)}
    ${MARKET === "paper" && html` ${X.lookUp} <code class="break">${command}</code><${Copy} text=${command} target=${X.commandTarget} />`}</p>`;
}
