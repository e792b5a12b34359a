-- Functions for the scripts of the paper market.

-- The market's time: that of the store, unless a test has moved it.
local function market_ms()
  return now_ms() + tonumber(redis.call("GET", PAPER_SKIPPED_MS) or "0")
end

-- The key of an executed order's outcome. The first executed order of an intent has the key of the intent, so that a
-- worker of an earlier release, which knows one order per intent, finds it.
local function paper_order_key(intent_id, signature)
  local key = PAPER_INTENT_PREFIX .. intent_id
  local first = redis.call("HGET", key, "signature")
  if first and first ~= signature then
    return key .. ":" .. signature
  end
  return key
end

