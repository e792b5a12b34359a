// The figures of a resolution: checks before they are sent, and warnings about unusual ones.
import { DECIMALS, exactSol, price as priceText } from "/static/console/format.js";
import { T } from "/static/console/texts.js";

const SPENT_FACTOR = 1.5; // a buy rarely costs more than its amount by this factor, or less
const FEE_SHARE = 0.1; // of the amount of a step; fees are rarely higher
const PRICE_FACTOR = 3; // the same for the prices of one operation
const HAS_UNITS = new RegExp(String.raw`^\d*(\.\d{0,${DECIMALS}}0*)?$`); // a product with 10 ** DECIMALS would not be exact
const X = T.review;

const textOf = (text) => text.replaceAll(",", "").trim();
const numberOf = (text) => Number(textOf(text));
const unitsOf = (text) => Math.round(numberOf(text) * 10 ** DECIMALS);

/** Return the errors of the form's values by name. An empty value is 0. */
export function check({ spent, tokens }) {
  return { ...(!(numberOf(spent) >= 0) && { spent: X.number }), ...(!(numberOf(tokens) >= 0 && HAS_UNITS.test(textOf(tokens))) && { tokens: X.tokenNumber }) };
}

/** Return the body of the request. Tokens become base units. */
export const bodyOf = ({ spent, tokens }, { intentId, kind }, executed) => ({
  intentId, executed, ...(spent.trim() && { spent: numberOf(spent) }), ...(executed && kind === "buy" && tokens.trim() && { tokens: unitsOf(tokens) }),
});

/** Return what is unusual. Without an executed buy, `spent` is fees only. `usual` is the price that its operation paid for a token, or null. */
export function warningsOf({ executed, spent = 0, tokens = 0 }, { kind, amount }, usual) {
  if (!executed || kind !== "buy") return spent > amount * FEE_SHARE ? [X.warnings.fees(exactSol(spent), exactSol(amount))] : [];
  const price = tokens && (spent / tokens) * 10 ** DECIMALS;
  return [
    isFar(spent, amount, SPENT_FACTOR) && X.warnings.spent(exactSol(spent), exactSol(amount)),
    !tokens && X.warnings.noTokens,
    tokens && usual && isFar(price, usual, PRICE_FACTOR) && X.warnings.price(priceText(price), priceText(usual)),
  ].filter(Boolean);
}

const isFar = (found, expected, factor) => found > expected * factor || found < expected / factor;

/** Return the price of a token in the confirmed buys of a status response, or null without one. */
export function usualPrice({ operationResult }) {
  const buys = (operationResult?.steps ?? []).filter(({ kind, status, tokens }) => kind === "buy" && status === "confirmed" && tokens);
  const [spent, tokens] = ["spent", "tokens"].map((name) => buys.reduce((sum, buy) => sum + buy[name], 0));
  return tokens ? (spent / tokens) * 10 ** DECIMALS : null;
}
