#!lua flags=allow-oom
-- Takes ended jobs for archiving: other workers do not get them for a while. Removes expired ones from the set. A full
-- store runs this too, because archiving frees its memory.
-- ARGV: maximum number of jobs, maximum number of their events, ms until another worker may take them
-- Returns job ids. Their number of events exceeds the maximum only if there is one job
local max_jobs, max_events, lease_ms = unpack(ARGV)
local now = now_ms()
local taken, events = {}, 0
for _, job_id in ipairs(redis.call("ZRANGE", ENDED, "-inf", integer(now), "BYSCORE", "LIMIT", 0, max_jobs)) do
  local length = redis.call("XLEN", EVENTS_PREFIX .. job_id)
  if length == 0 then
    redis.call("ZREM", ENDED, job_id)
    redis.call("ZREM", UNARCHIVED_PREFIX .. ALL_OWNERS, job_id)
  else
    events = events + length
    if #taken > 0 and events > tonumber(max_events) then
      break
    end
    redis.call("ZADD", ENDED, integer(now + lease_ms), job_id)
    taken[#taken + 1] = job_id
  end
end
return taken
