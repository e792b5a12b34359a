-- Records the order of one step, or its submission. Only the job's owner may do so.
-- KEYS: job, intents. ARGV: attempt, intent id, record, 1 if a requested cancellation prevents the write
-- Returns 1, or 0 if cancellation was requested and nothing was recorded
local job, intents = unpack(KEYS)
local attempt, intent_id, record, heed_cancel = unpack(ARGV)
local owner, status, cancel = unpack(redis.call("HMGET", job, "attempt", "status", "cancel"))
local refused = refusal(owner, status, attempt)
if refused then
  return refused
end
local old_record = redis.call("HGET", intents, intent_id)
if old_record and old_record ~= record and cjson.decode(old_record).outcome then
  return redis.error_reply("SEQUENCE the step is settled") -- a delayed write from before the outcome
end
if cancel and heed_cancel == "1" and old_record ~= record then
  return 0
end
redis.call("HSET", intents, intent_id, record)
return 1
