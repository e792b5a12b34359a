-- Records the orders of several steps, or their submission: all of them or none. Only the job's owner may do so.
-- KEYS: job, intents. ARGV: attempt, 1 if a requested cancellation prevents the write, then intent id, record, ...
-- Returns 1, or 0 if cancellation was requested and nothing was recorded
local job, intents = unpack(KEYS)
local attempt, heed_cancel = unpack(ARGV)
local owner, status, cancel = unpack(redis.call("HMGET", job, "attempt", "status", "cancel"))
local refused = refusal(owner, status, attempt)
if refused then
  return refused
end
local repeated = true -- whether each record is already in the log
for index = REST, #ARGV, 2 do
  local old_record = redis.call("HGET", intents, ARGV[index])
  if old_record ~= ARGV[index + 1] then
    repeated = false
    if old_record and cjson.decode(old_record).outcome then
      return redis.error_reply("SEQUENCE the step is settled") -- a delayed write from before the outcome
    end
  end
end
if cancel and heed_cancel == "1" and not repeated then
  return 0
end
redis.call("HSET", intents, unpack(ARGV, REST))
return 1
