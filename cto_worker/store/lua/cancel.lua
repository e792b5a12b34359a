-- Sets the flag that the run reads from the answer to its next step.
-- KEYS: job. Returns {status, attempt}, or nothing when there is no such job
local status, attempt = unpack(redis.call("HMGET", KEYS[1], "status", "attempt"))
if not status then
  return false
end
if status == "waiting" or status == "active" then
  redis.call("HSET", KEYS[1], "cancel", 1)
end
return { status, attempt }
