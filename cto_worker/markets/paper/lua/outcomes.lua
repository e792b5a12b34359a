-- Returns the outcomes of orders.
-- ARGV: intent id, signature, intent id, signature, ...
-- Returns {the market's time in ms, id of the ledger, number of its quotes, then for each order its outcome, or {} if it was not executed}. An outcome is
-- {status, spent, tokens, error code, error, time of the execution in ms}
local id, quotes = unpack(redis.call("HMGET", PAPER_LEDGER_ID, "id", "quotes"))
local answers = { market_ms(), id or "", quotes or "0" }
for index = REST, #ARGV, 2 do
  local key = paper_order_key(ARGV[index], ARGV[index + 1])
  local found = redis.call("HMGET", key, "status", "spent", "tokens", "error_code", "error", "at_ms")
  answers[#answers + 1] = found[1] and found or {}
end
return answers
