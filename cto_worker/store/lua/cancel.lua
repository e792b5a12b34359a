-- Requests the cancellation of a job. The run reads the flag with the answer to its next append.
-- KEYS: job
-- ARGV: the change for the audit log, which only the first request of a job enters
-- Returns {status, attempt}, or nothing if the job is unknown
local job = unpack(KEYS)
local change = unpack(ARGV)
local status, attempt, cancel = unpack(redis.call("HMGET", job, "status", "attempt", "cancel"))
if not status then
  return false
end
if not ended(status) then
  if not cancel then
    append_audit(change)
  end
  redis.call("HSET", job, "cancel", 1)
end
return { status, attempt }
