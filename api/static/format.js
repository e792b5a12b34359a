// Addresses, amounts and times as people read them.

const AMOUNT = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });
const PRICE = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4, maximumFractionDigits: 15 });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DAY_MS = 86_400_000;

/** The beginning and the end of an address. */
export const shorten = (text, keep = 6) => (text.length > 2 * keep + 1 ? `${text.slice(0, keep)}…${text.slice(-keep)}` : text);

export const sol = (amount) => `${AMOUNT.format(amount)} SOL`;

const DECIMALS = 6; // of the mints that the paper market trades
const TOKENS = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });

/** Base units as tokens. */
export const tokens = (baseUnits) => TOKENS.format(baseUnits / 10 ** DECIMALS);

/** For one token. */
export const price = (amount) => `${PRICE.format(amount)} SOL`;

/** The time of day, with the date when it was not today. */
export const moment = (ms) => (Date.now() - ms < DAY_MS ? TIME : MOMENT).format(ms);

export function duration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}

/** How many of something, in words. */
export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
