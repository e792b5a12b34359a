-- Returns the details of one job.
-- KEYS: job, events, meta. ARGV: prefix of lists, name of the review list, job id
-- Returns {user, status, phase, progress, Celery's metadata, all events, 1 if the job needs review}, or nothing if the
-- job is unknown
local user, status, phase, progress = unpack(redis.call("HMGET", KEYS[1], "user", "status", "phase", "progress"))
local meta = user and redis.call("GET", KEYS[3])
if not meta then
  return false
end
local events = redis.call("XRANGE", KEYS[2], "-", "+")
for index, entry in ipairs(events) do
  events[index] = entry[2][2]
end
local review = redis.call("ZSCORE", ARGV[1] .. user .. ":" .. ARGV[2], ARGV[3])
return #events > 0 and { user, status, phase, progress, meta, events, review and 1 or 0 } or false
