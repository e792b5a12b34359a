-- Renews the leases of one worker's jobs.
-- KEYS: due. ARGV: lease in ms, prefix of job keys, then job id and attempt of each job
-- Returns for each job 1, or 0 if it belongs to another attempt, was released or has ended
local due, lease_ms, job_prefix = KEYS[1], ARGV[1], ARGV[2]
local time = redis.call("TIME")
local until_ms = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000) + lease_ms)
local renewed = {}
for index = 3, #ARGV, 2 do
  local job_id, attempt = ARGV[index], ARGV[index + 1]
  local owner, status, released = unpack(
    redis.call("HMGET", job_prefix .. job_id, "attempt", "status", "released"))
  local owned = owner == attempt and released ~= "1" and status ~= "completed" and status ~= "failed"
  if owned then
    redis.call("HSET", job_prefix .. job_id, "lease", until_ms)
    redis.call("ZADD", due, until_ms, job_id)
  end
  renewed[#renewed + 1] = owned and 1 or 0
end
return renewed
