-- Returns the balance of a wallet and the state of a curve.
-- KEYS: wallets, curve. ARGV: address
-- Returns {lamports in the wallet, lamports that the curve has received, base units that it has sold}
local wallets, curve = unpack(KEYS)
local wallet = unpack(ARGV)
local state = redis.call("HMGET", curve, "sol", "sold")
return { redis.call("HGET", wallets, wallet), state[1] or "0", state[2] or "0" }
