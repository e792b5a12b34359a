-- Renews the leases of one worker's jobs.
-- ARGV: lease in ms, then job id and attempt of each job
-- Returns for each job 1, or 0 if it belongs to another attempt, was released or has ended
local lease_ms = unpack(ARGV)
local until_ms = integer(now_ms() + lease_ms)
local renewed = {}
for index = REST, #ARGV, 2 do
  local job_id, attempt = ARGV[index], ARGV[index + 1]
  local job = JOB_PREFIX .. job_id
  local owner, status, released = unpack(redis.call("HMGET", job, "attempt", "status", "released"))
  local owned = owner == attempt and released ~= "1" and not ended(status)
  if owned then
    redis.call("HSET", job, "lease", until_ms)
    redis.call("ZADD", DUE, until_ms, job_id)
  end
  renewed[#renewed + 1] = owned and 1 or 0
end
return renewed
