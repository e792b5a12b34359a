-- Opens a user's missing paper wallets, each with the paper balance.
-- KEYS: wallets, ledger. ARGV: user, balance in lamports, addresses
-- Returns all wallets of the user as {address, lamports, ...}
local user, lamports = ARGV[1], ARGV[2]
for index = 3, #ARGV do
  local address = ARGV[index]
  if redis.call("HSETNX", KEYS[1], address, lamports) == 1 then
    redis.call("XADD", KEYS[2], "*", "kind", "deposit", "intent", "", "user", user, "postings",
      '[["deposits","SOL",-' .. lamports .. '],["' .. address .. '","SOL",' .. lamports .. "]]")
  end
end
return redis.call("HGETALL", KEYS[1])
