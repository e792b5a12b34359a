-- KEYS: wallets, curve. ARGV: address
-- Returns {what the wallet holds, what the curve has gained, what it has sold}
local state = redis.call("HMGET", KEYS[2], "sol", "sold")
return { redis.call("HGET", KEYS[1], ARGV[1]), state[1] or "0", state[2] or "0" }
