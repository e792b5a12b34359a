-- Counts jobs by status.
-- ARGV: the user whose jobs count, or "" for the jobs of all users; then the keys of the jobs
-- Returns {waiting, active, completed, failed, sum of progress, positions of the keys of jobs that are not found}
local counted_user = unpack(ARGV)
local counts = { waiting = 0, active = 0, completed = 0, failed = 0 }
local missing, progress_sum = {}, 0
for index = REST, #ARGV do
  local user, status, progress = unpack(redis.call("HMGET", ARGV[index], "user", "status", "progress"))
  if user and (counted_user == "" or counted_user == user) then
    counts[status] = counts[status] + 1
    progress_sum = progress_sum + tonumber(progress)
  else
    missing[#missing + 1] = index - REST
  end
end
return { counts.waiting, counts.active, counts.completed, counts.failed, tostring(progress_sum), missing }
