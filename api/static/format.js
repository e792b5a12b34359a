// Text forms of addresses, amounts and times.

const AMOUNT = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });
const PRICE = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4, maximumFractionDigits: 15 });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DAY_MS = 86_400_000;

/** Shorten an address to its first and last characters. */
export const shorten = (text, keep = 6) => (text.length > 2 * keep + 1 ? `${text.slice(0, keep)}…${text.slice(-keep)}` : text);

export const sol = (amount) => `${AMOUNT.format(amount)} SOL`;

const DECIMALS = 6; // of the mints that the paper market trades
const TOKENS = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });

/** Format base units as tokens. */
export const tokens = (baseUnits) => TOKENS.format(baseUnits / 10 ** DECIMALS);

/** Format the price of one token. */
export const price = (amount) => `${PRICE.format(amount)} SOL`;

/** Format a time in ms. The date is left out if it is less than a day ago. */
export const moment = (ms) => (Date.now() - ms < DAY_MS ? TIME : MOMENT).format(ms);

export function duration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}

/** Format a number with its noun. */
export const count = (number, singular, plural = `${singular}s`) => `${number} ${number === 1 ? singular : plural}`;
