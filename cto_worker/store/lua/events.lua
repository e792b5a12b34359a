-- Returns events of one job.
-- KEYS: job, events. ARGV: the seq after which to start, or "latest"
-- Returns {user, seq of the first event returned, events, rooms}, or nothing if the job is unknown
local user, rooms = unpack(redis.call("HMGET", KEYS[1], "user", "rooms"))
if not user then
  return false
end
local entries
if ARGV[1] == "latest" then
  entries = redis.call("XREVRANGE", KEYS[2], "+", "-", "COUNT", 1)
else
  entries = redis.call("XRANGE", KEYS[2], "(" .. ARGV[1] .. "-0", "+")
end
local seq = entries[1] and string.match(entries[1][1], "%d+") or 0
for index, entry in ipairs(entries) do
  entries[index] = entry[2][2]
end
return { user, seq, entries, rooms or "" }
