-- Returns the state of a curve and the balances of wallets.
-- KEYS: wallets, curve. ARGV: the addresses
-- Returns {the market's time in ms, lamports that the curve has received, base units that it has sold, lamports in each wallet, ...}
local wallets, curve = unpack(KEYS)
local state = redis.call("HMGET", curve, "sol", "sold")
return { market_ms(), state[1] or "0", state[2] or "0", unpack(redis.call("HMGET", wallets, unpack(ARGV, REST))) }
