-- Returns the state of a curve and the balances of wallets, and counts the quote.
-- KEYS: wallets, curve. ARGV: id of the ledger if it has none, then the addresses
-- Returns {the market's time in ms, id of the ledger, number of this quote, lamports that the curve has received,
-- base units that it has sold, lamports in each wallet, ...}
local wallets, curve = unpack(KEYS)
local new_id = unpack(ARGV)
redis.call("HSETNX", PAPER_LEDGER_ID, "id", new_id)
local id, number = redis.call("HGET", PAPER_LEDGER_ID, "id"), redis.call("HINCRBY", PAPER_LEDGER_ID, "quotes", 1)
local state = redis.call("HMGET", curve, "sol", "sold")
return { market_ms(), id, number, state[1] or "0", state[2] or "0", unpack(redis.call("HMGET", wallets, unpack(ARGV, REST))) }
