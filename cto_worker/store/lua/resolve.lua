-- Records an operator's resolution of one unknown intent of an ended job, if an intent is given. Removes the job from
-- the review lists if no intent is unknown. The job is then archived. Its intents, events and Celery's metadata do not
-- change.
-- KEYS: job. The intents are not among the keys, because a gateway may only read them.
-- ARGV: job id, intent id (or ""), its resolution, the author of the resolution, the change for the audit log
-- Returns {number of unknown intents left, 1 if this call removed the job from the lists}
local job = unpack(KEYS)
local job_id, intent_id, resolution, resolver, change = unpack(ARGV)
local intents = INTENTS_PREFIX .. job_id

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
  local field = RESOLVED_FIELD .. intent_id
  local earlier = redis.call("HGET", job, field)
  if earlier ~= resolution then -- equal: a retry, because the first answer was lost
    if earlier or not unknown(redis.call("HGET", intents, intent_id)) then
      return redis.error_reply("NOTUNKNOWN the intent is already resolved")
    end
    append_audit(change)
    redis.call("HSET", job, field, resolution, RESOLVER_FIELD .. intent_id, resolver)
  end
end

local remaining = 0
local log = redis.call("HGETALL", intents)
for index = 1, #log, 2 do
  -- The plan is an array without a status.
  if unknown(log[index + 1]) and redis.call("HEXISTS", job, RESOLVED_FIELD .. log[index]) == 0 then
    remaining = remaining + 1
  end
end
local removed = 0
if remaining == 0 then
  if intent_id == "" and redis.call("ZSCORE", LIST_PREFIX .. ALL_OWNERS .. ":" .. REVIEW, job_id) then
    append_audit(change)
  end
  for _, owner in ipairs({ user, ALL_OWNERS }) do
    removed = math.max(removed, redis.call("ZREM", LIST_PREFIX .. owner .. ":" .. REVIEW, job_id))
  end
  if removed == 1 then
    redis.call("ZADD", ENDED, integer(now_ms()), job_id)
  end
end
return { remaining, removed }
