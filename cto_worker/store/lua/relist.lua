#!lua flags=allow-oom
-- Searches for jobs that earlier releases created or ended, adds them to the sets of unarchived jobs, and removes their
-- expiry. Each call continues where the last one of any worker ended. After the newest job the search pauses, and begins
-- again, because a process of an earlier release may still run.
-- KEYS: index of all jobs by serial number. ARGV: maximum number of jobs
-- Returns 1 if more jobs are to be searched now, else 0
local index = unpack(KEYS)
local limit = unpack(ARGV)
local now = now_ms()
local serial, due_ms = unpack(redis.call("HMGET", RELISTED, "serial", "due"))
if tonumber(due_ms or "0") > now then
  return 0
end

local function relist(job_id)
  local job = JOB_PREFIX .. job_id
  local user, status, created, archived = unpack(redis.call("HMGET", job, "user", "status", "created", "archived"))
  if not user or archived then
    return
  end
  for _, owner in ipairs({ user, ALL_OWNERS }) do
    redis.call("ZADD", UNARCHIVED_PREFIX .. owner, created, job_id)
    for _, name in ipairs({ "all", status, REVIEW }) do
      redis.call("PERSIST", LIST_PREFIX .. owner .. ":" .. name)
    end
  end
  if ended(status) and not redis.call("ZSCORE", LIST_PREFIX .. user .. ":" .. REVIEW, job_id) then
    redis.call("ZADD", ENDED, "NX", integer(now), job_id)
  end
  for _, prefix in ipairs({ EVENTS_PREFIX, META_PREFIX, INTENTS_PREFIX, JOB_PREFIX }) do
    redis.call("PERSIST", prefix .. job_id)
  end
end

local found = redis.call("ZRANGE", index, "(" .. (serial or "0"), "+inf", "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
for position = 1, #found, 2 do
  relist(found[position])
  serial = found[position + 1]
end
local more = #found == 2 * limit
redis.call("HSET", RELISTED, "serial", more and serial or 0, "due", more and 0 or integer(now + RELIST_INTERVAL_MS))
return more and 1 or 0
