// The balances of the owner's wallets, for the start dialog.
import { useEffect, useState } from "/static/third_party/preact.js";
import { HAS_BALANCES } from "/static/console/config.js";
import { useRequest } from "/static/console/observable.js";
import { MAX_WALLETS } from "/static/console/start/request.js";

const TYPING_MS = 400; // after the last key until a new owner or number of wallets is requested
const INTERVAL_MS = 10_000;
const USER_ID = /^[A-Za-z0-9_.:@+-]{1,64}$/;
const LAMPORTS = 1e9;

/** Return `{ balances, isPending }`: `{ available, missing }` in SOL for the values of the form, or null if they are not known; and whether they are being read. */
export function useBalances(session, { userId, mode, walletCount, buyAmount }) {
  const isValid = HAS_BALANCES && USER_ID.test(userId.trim()) && Number.isInteger(Number(walletCount)) && walletCount >= 1 && walletCount <= MAX_WALLETS;
  const wanted = isValid ? String(new URLSearchParams({ userId: userId.trim(), walletCount })) : "";
  const query = useSettled(wanted);
  const load = async () => (query ? session.rest.request("GET", `/api/cto/wallets?${query}`) : null);
  const { data, error, isLoading } = useRequest(load, query, INTERVAL_MS);
  const isKnown = data && data.userId === userId.trim() && data.wallets.length === Number(walletCount);
  if (!isKnown) return { balances: null, isPending: isValid && !error && (isLoading || query !== wanted) };
  const [toSpend, available] = mode === "standard"
    ? [Number(buyAmount), data.funding.balance]
    : [Number(buyAmount) / data.wallets.length, Math.min(...data.wallets.map(({ balance }) => balance))];
  const missing = Math.max(0, Math.ceil(toSpend * LAMPORTS) - Math.round(available * LAMPORTS)) / LAMPORTS;
  return { balances: { available, missing }, isPending: false };
}

/** Return a value when it has not changed for a moment. */
function useSettled(value) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(setSettled, TYPING_MS, value);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
