-- KEYS: job, events, meta. Returns {user, status, phase, progress, Celery's metadata, every event}, or nothing
local user, status, phase, progress = unpack(redis.call("HMGET", KEYS[1], "user", "status", "phase", "progress"))
local meta = user and redis.call("GET", KEYS[3])
if not meta then
  return false
end
local events = redis.call("XRANGE", KEYS[2], "-", "+")
for place, entry in ipairs(events) do
  events[place] = entry[2][2]
end
return #events > 0 and { user, status, phase, progress, meta, events } or false
