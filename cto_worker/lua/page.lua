-- KEYS: an index of jobs by serial number.
-- ARGV: limit, serial to go on below (or ""), prefixes of job and events, how many to remove at most
-- Returns {rows of {job id, status, created ms, latest event}, serial to go on below (or "")}
local index = KEYS[1]
local limit, cursor, job_prefix, events_prefix, removals = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local rows, last = {}, ""
local below = cursor == "" and "+inf" or "(" .. cursor
while true do
  local found = redis.call("ZRANGE", index, below, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit + 1, "WITHSCORES")
  for place = 1, #found, 2 do
    local id, serial = found[place], found[place + 1]
    local status, created = unpack(redis.call("HMGET", job_prefix .. id, "status", "created"))
    local latest = status and redis.call("XREVRANGE", events_prefix .. id, "+", "-", "COUNT", 1)[1]
    if not latest then
      redis.call("ZREM", index, id) -- expired
      removals = removals - 1
    elseif #rows == limit then
      return { rows, last }
    else
      rows[#rows + 1] = { id, status, created, latest[2][2] }
      last = serial
    end
    below = "(" .. serial
  end
  if #found == 0 then
    return { rows, "" }
  elseif removals <= 0 then
    return { rows, found[#found] } -- whoever asks for the next page has the rest removed
  end
end
