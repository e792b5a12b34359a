-- Adds lamports to an open paper wallet.
-- KEYS: wallets. ARGV: user, address, lamports, highest allowed balance
-- Returns the new balance; -1 if there is no such wallet; -2 if the balance would exceed the highest allowed one
local wallets = unpack(KEYS)
local user, address, lamports, highest = unpack(ARGV)
local balance = redis.call("HGET", wallets, address)
if not balance then
  return -1
end
if tonumber(balance) + tonumber(lamports) > tonumber(highest) then
  return -2
end
redis.call("XADD", PAPER_LEDGER, "*", "kind", "deposit", "intent", "", "user", user, "postings",
  '[["deposits","SOL",-' .. lamports .. '],["' .. address .. '","SOL",' .. lamports .. "]]")
return redis.call("HINCRBY", wallets, address, lamports)
