-- Releases a job, so that another run may claim it at once. The caller must then send the job's message.
-- KEYS: job, due. ARGV: job id, attempt, ms until a sweep may send the message again
-- Returns the request, or nothing if the job does not belong to this attempt or has ended
local job, due = unpack(KEYS)
local job_id, attempt, check_delay_ms = unpack(ARGV)
local owner, status, request = unpack(redis.call("HMGET", job, "attempt", "status", "request"))
if owner ~= attempt or status == "completed" or status == "failed" then
  return false
end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("HSET", job, "lease", 0, "released", 1, "sent", string.format("%.0f", now))
redis.call("ZADD", due, string.format("%.0f", now + check_delay_ms), job_id)
return request
