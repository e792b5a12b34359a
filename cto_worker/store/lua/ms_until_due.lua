-- Returns the milliseconds until the next claimed job is due, or nothing if no job is claimed.
local due_ms = redis.call("ZRANGE", DUE, 0, 0, "WITHSCORES")[2]
if not due_ms then
  return false
end
return math.max(0, due_ms - now_ms())
