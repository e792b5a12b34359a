-- Records the order of one step, or its submission. Only the job's owner may do so.
-- KEYS: job, intents. ARGV: attempt, intent id, record, 1 if a requested cancellation prevents the write
-- Returns 1, or 0 if cancellation was requested and nothing was recorded
local job, intents = unpack(KEYS)
local attempt, intent_id, record, heeds_cancel = unpack(ARGV)
local owner, status, cancel = unpack(redis.call("HMGET", job, "attempt", "status", "cancel"))
if not owner then
  return redis.error_reply("NOTFOUND no such job")
end
if status == "completed" or status == "failed" then
  return redis.error_reply("ENDED the job has its terminal event")
end
if owner ~= attempt then
  return redis.error_reply("FENCED the job belongs to attempt " .. owner)
end
local old_record = redis.call("HGET", intents, intent_id)
if old_record and old_record ~= record and cjson.decode(old_record).outcome then
  return redis.error_reply("SEQUENCE the step is settled") -- a delayed write from before the outcome
end
if cancel and heeds_cancel == "1" and old_record ~= record then
  return 0
end
redis.call("HSET", intents, intent_id, record)
return 1
