-- Records an operator's resolution of one unknown intent of an ended job, if an intent is given. Removes the job from
-- the review lists if no intent is unknown; it is then archived. The job's events and Celery's metadata do not change.
-- KEYS: job, intents
-- ARGV: job id, intent id (or ""), its new record
-- Returns {number of unknown intents left, 1 if this call removed the job from the lists}
local job, intents = unpack(KEYS)
local job_id, intent_id, record = unpack(ARGV)

local function unknown(text)
  return text and cjson.decode(text).status == "unknown"
end

local status, user = unpack(redis.call("HMGET", job, "status", "user"))
if not status then
  return redis.error_reply("NOTFOUND no such job")
end
if not ended(status) then
  return redis.error_reply("NOTENDED the job is " .. status)
end
if intent_id ~= "" then
  local old_record = redis.call("HGET", intents, intent_id)
  if old_record ~= record then -- equal: a retry, because the first answer was lost
    if not unknown(old_record) then
      return redis.error_reply("NOTUNKNOWN the intent is already resolved")
    end
    redis.call("HSET", intents, intent_id, record)
  end
end

local remaining = 0
for _, text in ipairs(redis.call("HVALS", intents)) do
  if unknown(text) then -- the plan is an array without a status
    remaining = remaining + 1
  end
end
local removed = 0
if remaining == 0 then
  for _, owner in ipairs({ user, ALL_OWNERS }) do
    removed = math.max(removed, redis.call("ZREM", LIST_PREFIX .. owner .. ":" .. REVIEW, job_id))
  end
  if removed == 1 then
    redis.call("ZADD", ENDED, integer(now_ms()), job_id)
  end
end
return { remaining, removed }
