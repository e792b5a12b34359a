-- Returns the outcomes of intents.
-- ARGV: the intent ids
-- Returns for each {signature, status, spent, tokens, error code, error, ms since the execution}
local outcomes = {}
for index = REST, #ARGV do
  local found = redis.call("HMGET", PAPER_INTENT_PREFIX .. ARGV[index], "signature", "status", "spent", "tokens",
    "error_code", "error", "at_ms")
  if found[1] then
    found[7] = now_ms() - found[7]
  end
  outcomes[index - REST + 1] = found
end
return outcomes
