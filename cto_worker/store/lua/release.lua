-- Releases a job, so that another run may claim it at once. The caller must then send the job's message.
-- KEYS: job. ARGV: job id, attempt
-- Returns the request, or nothing if the job does not belong to this attempt or has ended
local job = unpack(KEYS)
local job_id, attempt = unpack(ARGV)
local owner, status, request = unpack(redis.call("HMGET", job, "attempt", "status", "request"))
if owner ~= attempt or ended(status) then
  return false
end
local now = now_ms()
redis.call("HSET", job, "lease", 0, "released", 1, "sent", integer(now))
redis.call("ZADD", DUE, integer(now + RESUME_CHECK_DELAY_MS), job_id)
return request
