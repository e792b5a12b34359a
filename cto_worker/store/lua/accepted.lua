-- Returns jobs accepted after a serial number.
-- KEYS: index of jobs by serial number. ARGV: serial number, limit, prefix of job keys
-- Returns rows of {job id, serial, rooms}, oldest job first; an expired job has no rooms
local rows = {}
local found = redis.call("ZRANGE", KEYS[1], "(" .. ARGV[1], "+inf", "BYSCORE", "LIMIT", 0, ARGV[2], "WITHSCORES")
for index = 1, #found, 2 do
  local id, serial = found[index], found[index + 1]
  rows[#rows + 1] = { id, serial, redis.call("HGET", ARGV[3] .. id, "rooms") or "" }
end
return rows
