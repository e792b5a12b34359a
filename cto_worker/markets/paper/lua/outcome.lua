-- Returns the outcome of an intent.
-- KEYS: intent. Returns {signature, status, spent, tokens, error code, error, ms since the execution}
local found = redis.call("HMGET", KEYS[1], "signature", "status", "spent", "tokens", "error_code", "error", "at_ms")
if found[1] then
  local time = redis.call("TIME")
  found[7] = time[1] * 1000 + math.floor(time[2] / 1000) - found[7]
end
return found
