// The values with which the start dialog repeats an operation.

/** Return the values of the dialog's fields for a run with these events. The slippage is not known from them. */
export function requestOf(events) {
  const { tokenAddress, mode, buyAmount, platform, userId, userChatId } = events[0];
  const wallets = events.find(({ details }) => details?.plannedWallets)?.details.plannedWallets;
  const values = { tokenAddress, mode, buyAmount, userId, userChatId, platform: platform === "unknown" ? "" : platform, ...(wallets && { walletCount: wallets.length }) };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}
