-- Opens a user's missing paper wallets, each with the paper balance.
-- KEYS: wallets. ARGV: user, balance in lamports, then the addresses
-- Returns all wallets of the user as {address, lamports, ...}
local wallets = unpack(KEYS)
local user, lamports = unpack(ARGV)
for index = REST, #ARGV do
  local address = ARGV[index]
  if redis.call("HSETNX", wallets, address, lamports) == 1 then
    redis.call("XADD", PAPER_LEDGER, "*", "kind", "deposit", "intent", "", "user", user, "postings",
      '[["deposits","SOL",-' .. lamports .. '],["' .. address .. '","SOL",' .. lamports .. "]]")
  end
end
return redis.call("HGETALL", wallets)
