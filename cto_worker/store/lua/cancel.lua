-- Requests the cancellation of a job. The run reads the flag with the answer to its next append.
-- KEYS: job. Returns {status, attempt}, or nothing if the job is unknown
local status, attempt = unpack(redis.call("HMGET", KEYS[1], "status", "attempt"))
if not status then
  return false
end
if status == "waiting" or status == "active" then
  redis.call("HSET", KEYS[1], "cancel", 1)
end
return { status, attempt }
