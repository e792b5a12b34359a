-- Finds jobs that nobody works on: their lease has run out, or their message was lost.
-- KEYS: due, claimed, queue. ARGV: how many at most, grace in ms before they are looked at again, prefix of job
-- Returns rows of {job id, request, attempt}
local due, claimed, queue = unpack(KEYS)
local limit, grace_ms, job_prefix = unpack(ARGV)
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local again = string.format("%.0f", now + grace_ms)
local queued, reached = redis.call("LLEN", queue) > 0, tonumber(redis.call("GET", claimed) or "0")
local rows = {}
for _, job_id in ipairs(redis.call("ZRANGE", due, "-inf", string.format("%.0f", now), "BYSCORE", "LIMIT", 0, limit)) do
  local status, attempt, serial, request = unpack(
    redis.call("HMGET", job_prefix .. job_id, "status", "attempt", "serial", "request"))
  if not status or status == "completed" or status == "failed" then
    redis.call("ZREM", due, job_id)
  else
    redis.call("ZADD", due, again, job_id)
    -- The queue is served in order: as long as it holds messages and none sent later has been taken, a waiting
    -- job waits its turn, and sending it again would only lengthen the queue.
    if attempt ~= "0" or not queued or tonumber(serial) < reached then
      rows[#rows + 1] = { job_id, request, attempt }
    end
  end
end
return rows
