// The body of the request that starts an operation, and checks of its fields before it is sent.
import { exactSol } from "/static/console/format.js";
import { T } from "/static/console/texts.js";

export const MAX_WALLETS = 50;
const BASE58_KEY = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/;
const X = T.start;

/**
 * Return the errors of a form's values by name; empty if the request can be sent. The gateway checks more.
 * `missing` is the SOL that the wallets lack, or 0.
 */
export function check({ tokenAddress, buyAmount, walletCount, slippage, userId, userChatId }, missing = 0) {
  const [amount, wallets, percent] = [buyAmount, walletCount, slippage].map((text) => Number(text));
  return {
    ...(!BASE58_KEY.test(tokenAddress.trim()) && { tokenAddress: X.address }),
    ...(missing > 0 && { buyAmount: X.missing(exactSol(missing)) }),
    ...(!(amount > 0) && { buyAmount: X.positive }),
    ...(!(Number.isInteger(wallets) && wallets >= 1 && wallets <= MAX_WALLETS) && { walletCount: X.count }),
    ...(!(percent >= 0 && percent <= 100) && { slippage: X.percent }),
    ...(!userId.trim() && { userId: X.required }),
    ...((!userChatId.trim() || !Number.isInteger(Number(userChatId))) && { userChatId: X.whole }),
  };
}

/** Return the body for the values of the form. Slippage becomes basis points. */
export const bodyOf = ({ tokenAddress, mode, buyAmount, walletCount, platform, slippage, userId, userChatId }) => ({
  tokenAddress: tokenAddress.trim(), userId: userId.trim(), userChatId: Number(userChatId), mode, buyAmount: Number(buyAmount), walletCount: Number(walletCount),
  ...(platform.trim() && { platform: platform.trim() }),
  ...(slippage.trim() && { slippageBps: Math.round(Number(slippage) * 100) }),
});
