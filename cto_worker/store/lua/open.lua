-- Returns the unfinished jobs of a room.
-- KEYS: index of the room's unfinished jobs. ARGV: prefixes of job and events keys
-- Returns rows of {job id, user, seq, latest event}, oldest job first
local rows = {}
for _, id in ipairs(redis.call("ZRANGE", KEYS[1], 0, -1)) do
  local user, seq = unpack(redis.call("HMGET", ARGV[1] .. id, "user", "seq"))
  local latest = user and redis.call("XREVRANGE", ARGV[2] .. id, "+", "-", "COUNT", 1)[1]
  if latest then
    rows[#rows + 1] = { id, user, seq, latest[2][2] }
  else
    redis.call("ZREM", KEYS[1], id) -- expired
  end
end
return rows
