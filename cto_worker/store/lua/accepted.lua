-- KEYS: an index of jobs by serial number. ARGV: serial to begin above, limit, prefix of job
-- Returns rows of {job id, serial, rooms}, oldest job first; what has expired has no rooms
local rows = {}
local found = redis.call("ZRANGE", KEYS[1], "(" .. ARGV[1], "+inf", "BYSCORE", "LIMIT", 0, ARGV[2], "WITHSCORES")
for place = 1, #found, 2 do
  local id, serial = found[place], found[place + 1]
  rows[#rows + 1] = { id, serial, redis.call("HGET", ARGV[3] .. id, "rooms") or "" }
end
return rows
