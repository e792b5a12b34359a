-- Sets the flag that the run reads from the answer to its next step.
-- KEYS: job. Returns the job's status, or nothing when there is no such job
local status = redis.call("HGET", KEYS[1], "status")
if status == "waiting" or status == "active" then
  redis.call("HSET", KEYS[1], "cancel", 1)
end
return status
