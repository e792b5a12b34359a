-- Records the orders of several steps, or their submission: all of them or none. Only the job's owner may do so.
-- An order replaces the recorded one only if it says so: the caller knows that the recorded one has expired.
-- KEYS: job, intents. ARGV: attempt, 1 if a requested cancellation prevents the write, then intent id, record, ...
-- Returns 1, or 0 if cancellation was requested and nothing was recorded
local job, intents = unpack(KEYS)
local attempt, heed_cancel = unpack(ARGV)

-- The reason for which a record may not follow another one, or nil. intent_log.py checks the same: may_follow().
local function conflict(old, new)
  if old.outcome then
    return "the step is settled" -- a delayed write from before the outcome
  end
  local replaced = new.replaced or {}
  if new.signature ~= old.signature and replaced[#replaced] ~= old.signature then
    return "the step has another order, which has not expired"
  end
end

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
    local reason = old_record and conflict(cjson.decode(old_record), cjson.decode(ARGV[index + 1]))
    if reason then
      return redis.error_reply("SEQUENCE " .. reason)
    end
  end
end
if cancel and heed_cancel == "1" and not repeated then
  return 0
end
redis.call("HSET", intents, unpack(ARGV, REST))
return 1
