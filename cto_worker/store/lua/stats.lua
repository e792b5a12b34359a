-- Counts jobs by status.
-- KEYS: jobs. ARGV: the user whose jobs count, or "" for the jobs of all users
-- Returns {waiting, active, completed, failed, not found, sum of progress}
local counts = { waiting = 0, active = 0, completed = 0, failed = 0 }
local missing, progress_sum = 0, 0
for _, job in ipairs(KEYS) do
  local user, status, progress = unpack(redis.call("HMGET", job, "user", "status", "progress"))
  if user and (ARGV[1] == "" or ARGV[1] == user) then
    counts[status] = counts[status] + 1
    progress_sum = progress_sum + tonumber(progress)
  else
    missing = missing + 1
  end
end
return { counts.waiting, counts.active, counts.completed, counts.failed, missing, tostring(progress_sum) }
