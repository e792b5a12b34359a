-- Returns the balance of a wallet and the state of a curve.
-- KEYS: wallets, curve. ARGV: address
-- Returns {lamports in the wallet, lamports that the curve has received, base units that it has sold}
local state = redis.call("HMGET", KEYS[2], "sol", "sold")
return { redis.call("HGET", KEYS[1], ARGV[1]), state[1] or "0", state[2] or "0" }
