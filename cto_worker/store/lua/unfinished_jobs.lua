-- Returns the unfinished jobs of a room.
-- KEYS: index of the room's unfinished jobs
-- Returns rows of {job id, user, seq, latest event}, oldest job first
local index = unpack(KEYS)
local rows = {}
for _, id in ipairs(redis.call("ZRANGE", index, 0, -1)) do
  local user, seq = unpack(redis.call("HMGET", JOB_PREFIX .. id, "user", "seq"))
  local latest = user and latest_event(EVENTS_PREFIX .. id)
  if latest then
    rows[#rows + 1] = { id, user, seq, latest }
  else
    redis.call("ZREM", index, id) -- expired
  end
end
return rows
