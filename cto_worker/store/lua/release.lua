-- Gives a job up in order, so that another run may take it at once. Whoever asks for that sends its message.
-- KEYS: job, due. ARGV: job id, attempt, grace in ms before a sweep sends its message again
-- Returns the request when the job was this attempt's to give up, else nothing
local job, due = unpack(KEYS)
local job_id, attempt, grace_ms = unpack(ARGV)
local owner, status, request = unpack(redis.call("HMGET", job, "attempt", "status", "request"))
if owner ~= attempt or status == "completed" or status == "failed" then
  return false
end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("HSET", job, "lease", 0, "released", 1, "sent", string.format("%.0f", now))
redis.call("ZADD", due, string.format("%.0f", now + grace_ms), job_id)
return request
