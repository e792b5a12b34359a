-- Returns one page of a list of jobs, and removes expired jobs from the list.
-- KEYS: index of jobs by serial number.
-- ARGV: limit, cursor (or ""), maximum number of removals
-- Returns {rows of {job id, status, created ms, latest event, 1 if the job needs review, resolutions}, cursor of the
-- next page (or "")}; a cursor is a serial number, and its page has the jobs below it
local index = unpack(KEYS)
local limit, cursor, removals = unpack(ARGV)
limit, removals = tonumber(limit), tonumber(removals)
local rows, last = {}, ""
local below = cursor == "" and "+inf" or "(" .. cursor
while true do
  local found = redis.call("ZRANGE", index, below, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit + 1, "WITHSCORES")
  for position = 1, #found, 2 do
    local id, serial = found[position], found[position + 1]
    local job = JOB_PREFIX .. id
    local status, created, user = unpack(redis.call("HMGET", job, "status", "created", "user"))
    local latest = status and latest_event(EVENTS_PREFIX .. id)
    if not latest then
      redis.call("ZREM", index, id) -- expired
      removals = removals - 1
    elseif #rows == limit then
      return { rows, last }
    else
      local review = redis.call("ZSCORE", LIST_PREFIX .. user .. ":" .. REVIEW, id)
      rows[#rows + 1] = { id, status, created, latest, review and 1 or 0, resolutions(job, status) }
      last = serial
    end
    below = "(" .. serial
  end
  if #found == 0 then
    return { rows, "" }
  elseif removals <= 0 then
    return { rows, found[#found] } -- the query for the next page removes more
  end
end
