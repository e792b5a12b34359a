-- Returns jobs accepted after a serial number.
-- KEYS: index of jobs by serial number. ARGV: the serial number, maximum number of jobs
-- Returns rows of {job id, serial, rooms}, oldest job first; an expired job has no rooms
local index = unpack(KEYS)
local after, limit = unpack(ARGV)
local rows = {}
local found = redis.call("ZRANGE", index, "(" .. after, "+inf", "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
for position = 1, #found, 2 do
  local id, serial = found[position], found[position + 1]
  rows[#rows + 1] = { id, serial, redis.call("HGET", JOB_PREFIX .. id, "rooms") or "" }
end
return rows
