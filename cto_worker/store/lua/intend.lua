-- Records one step's order, or that it has been submitted, for the job's owner alone.
-- KEYS: job, intents. ARGV: attempt, intent id, record, 1 when a cancellation forbids it
-- Returns 1, or 0 when somebody has asked to cancel the job and nothing was recorded
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
local was = redis.call("HGET", intents, intent_id)
if was and was ~= record and cjson.decode(was).outcome then
  return redis.error_reply("SEQUENCE the step is settled") -- a message from before that was under way for long
end
if cancel and heeds_cancel == "1" and was ~= record then
  return 0
end
redis.call("HSET", intents, intent_id, record)
return 1
