-- Requests the cancellation of a job. The run reads the flag with the answer to its next append.
-- KEYS: job. Returns {status, attempt}, or nothing if the job is unknown
local job = unpack(KEYS)
local status, attempt = unpack(redis.call("HMGET", job, "status", "attempt"))
if not status then
  return false
end
if not ended(status) then
  redis.call("HSET", job, "cancel", 1)
end
return { status, attempt }
