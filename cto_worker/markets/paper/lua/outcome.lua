-- Returns the outcome of an intent.
-- KEYS: intent. Returns {signature, status, spent, tokens, error code, error, ms since the execution}
local intent = unpack(KEYS)
local found = redis.call("HMGET", intent, "signature", "status", "spent", "tokens", "error_code", "error", "at_ms")
if found[1] then
  found[7] = now_ms() - found[7]
end
return found
