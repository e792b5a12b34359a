// Text forms of amounts, addresses and times. They are in the language of texts.js, not in that of the browser: texts of the
// gateway are in the same view, and one view has one notation of numbers.
import { LOCALE, T } from "/static/console/texts.js";

const EXACT = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 9 });
const ALIGNED = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const FINE = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 6, maximumFractionDigits: 6 });
const COMPACT = new Intl.NumberFormat(LOCALE, { notation: "compact", minimumSignificantDigits: 4, maximumSignificantDigits: 4 });
const INTEGER = new Intl.NumberFormat(LOCALE);
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const TIME = new Intl.DateTimeFormat(LOCALE, CLOCK);
const DAY = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric" });
const FULL = new Intl.DateTimeFormat(LOCALE, { weekday: "short", day: "numeric", month: "short", year: "numeric", ...CLOCK, timeZoneName: "short" });
export const DECIMALS = 6; // of the mints that are traded
const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

/** Shorten an address to its first and last characters. */
export const shorten = (text, keep = 4) => (text.length > 2 * keep + 1 ? `${text.slice(0, keep)}…${text.slice(-keep)}` : text);

/** Return the first characters of an operation's id, as the commands print them. */
export const shortId = (jobId) => jobId.slice(0, 8);

export const integer = (number) => INTEGER.format(number);

/** Format SOL with 4 decimals, for columns. Smaller amounts than can be shown are marked. */
export const sol = (amount) => (amount && amount < 0.00005 ? `<${ALIGNED.format(0.0001)}` : ALIGNED.format(amount));

/** Format SOL with 6 decimals, for columns with fees. */
export const fineSol = (amount) => (amount && amount < 0.0000005 ? `<${FINE.format(0.000001)}` : FINE.format(amount));

/** Format SOL to the lamport, without the unit. */
export const solNumber = (amount) => EXACT.format(amount);

/** Format SOL to the lamport. */
export const exactSol = (amount) => `${solNumber(amount)} SOL`;

/** Format base units as tokens, rounded. */
export const tokens = (baseUnits) => COMPACT.format(baseUnits / 10 ** DECIMALS);

/** Format base units as an exact number of tokens. */
export const tokenNumber = (baseUnits) => new Intl.NumberFormat(LOCALE, { maximumFractionDigits: DECIMALS }).format(baseUnits / 10 ** DECIMALS);

export const exactTokens = (baseUnits) => T.exactTokens(tokenNumber(baseUnits));

/** Format the price of a token with 4 digits; leading zeros are counted: 0.0₇2844 is 0.00000002844. */
export function price(amount) {
  if (amount >= 0.001) return amount.toPrecision(4);
  const [digits, exponent] = amount.toExponential(3).split("e-");
  return `0.0${[...String(exponent - 1)].map((digit) => SUBSCRIPTS[digit]).join("")}${digits.replace(".", "")}`;
}

export const exactPrice = (amount) => `${amount.toFixed(18).replace(/0+$/, "")} SOL`;

/** Format a time with its date and time zone. */
export const fullTime = (ms) => FULL.format(ms);

/** Return the time zone of all times, e.g. "UTC" or "GMT+2". */
export const zone = () => FULL.formatToParts().find(({ type }) => type === "timeZoneName").value;

/** Format a time for a column: with the day, unless it is today, and with the year, unless it is this year. */
export function shortTime(ms, nowMs = Date.now()) {
  const [then, now] = [new Date(ms), new Date(nowMs)];
  if (then.toDateString() === now.toDateString()) return TIME.format(ms);
  return `${(then.getFullYear() === now.getFullYear() ? DAY : DATE).format(ms)}, ${TIME.format(ms)}`;
}

/** Format the time that has passed since a moment, e.g. "3 min ago". */
export function ago(ms, nowMs = Date.now()) {
  const seconds = Math.max(0, Math.round((nowMs - ms) / 1_000));
  if (seconds < 60) return T.agoSeconds(seconds);
  if (seconds < 3_600) return T.agoMinutes(Math.floor(seconds / 60));
  if (seconds < 86_400) return T.agoHours(Math.floor(seconds / 3_600));
  return T.agoDays(Math.floor(seconds / 86_400));
}

export function duration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
  return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
}

/** Format a size in MiB or GiB. */
export const bytes = (size) => (size < 2 ** 30 ? `${INTEGER.format(Math.round(size / 2 ** 20))} MiB` : `${(size / 2 ** 30).toFixed(1)} GiB`);

/** Format a share between 0 and 100. */
export const percent = (value) => `${Math.round(value)} %`;
