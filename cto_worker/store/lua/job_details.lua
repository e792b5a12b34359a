-- Returns the details of one job.
-- KEYS: job, events, meta. ARGV: job id
-- Returns {user, status, phase, progress, Celery's metadata, all events, 1 if the job needs review, 1 if an operator has
-- recorded an outcome}, or nothing if the job is unknown
local job, events, meta = unpack(KEYS)
local job_id = unpack(ARGV)
local user, status, phase, progress = unpack(redis.call("HMGET", job, "user", "status", "phase", "progress"))
local result = user and redis.call("GET", meta)
if not result then
  return false
end
local history = redis.call("XRANGE", events, "-", "+")
for index, entry in ipairs(history) do
  history[index] = entry[2][2]
end
local review = redis.call("ZSCORE", LIST_PREFIX .. user .. ":" .. REVIEW, job_id)
local resolved = #resolutions(job, status) > 0 and 1 or 0
return #history > 0 and { user, status, phase, progress, result, history, review and 1 or 0, resolved } or false
