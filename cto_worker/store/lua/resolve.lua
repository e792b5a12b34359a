-- Records what an operator says of one unknown intent of an ended job, or of none, and takes the job off the
-- review lists once no intent of it is unknown. Its events and Celery's metadata stay as they are.
-- KEYS: job, intents
-- ARGV: job id, intent id ("" for none), the record it gets, prefix of lists, name of the review list
-- Returns {how many intents are still unknown, 1 when this has taken the job off the lists}
local job, intents = unpack(KEYS)
local job_id, intent_id, record, list_prefix, review = unpack(ARGV)

local function unknown(text)
  return text and cjson.decode(text).status == "unknown"
end

local status, user = unpack(redis.call("HMGET", job, "status", "user"))
if not status then
  return redis.error_reply("NOTFOUND no such job")
end
if status ~= "completed" and status ~= "failed" then
  return redis.error_reply("NOTENDED the job is " .. status)
end
if intent_id ~= "" then
  local was = redis.call("HGET", intents, intent_id)
  if was ~= record then -- else the answer to this very step was lost, and it came again
    if not unknown(was) then
      return redis.error_reply("NOTUNKNOWN somebody was faster")
    end
    redis.call("HSET", intents, intent_id, record)
  end
end

local left = 0
for _, text in ipairs(redis.call("HVALS", intents)) do
  if unknown(text) then -- the plan, an array, has no status
    left = left + 1
  end
end
local removed = 0
if left == 0 then
  for _, owner in ipairs({ user, "*" }) do
    removed = math.max(removed, redis.call("ZREM", list_prefix .. owner .. ":" .. review, job_id))
  end
end
return { left, removed }
