-- Renews the leases of one worker's jobs.
-- KEYS: due. ARGV: lease in ms, prefix of job, then job id and attempt of each
-- Returns for each 1, or 0 when the job is another's, was given up or has ended
local due, lease_ms, job_prefix = KEYS[1], ARGV[1], ARGV[2]
local time = redis.call("TIME")
local until_ms = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000) + lease_ms)
local renewed = {}
for place = 3, #ARGV, 2 do
  local job_id, attempt = ARGV[place], ARGV[place + 1]
  local owner, status, released = unpack(
    redis.call("HMGET", job_prefix .. job_id, "attempt", "status", "released"))
  local mine = owner == attempt and released ~= "1" and status ~= "completed" and status ~= "failed"
  if mine then
    redis.call("HSET", job_prefix .. job_id, "lease", until_ms)
    redis.call("ZADD", due, until_ms, job_id)
  end
  renewed[#renewed + 1] = mine and 1 or 0
end
return renewed
