-- Returns events of one job.
-- KEYS: job, events. ARGV: the seq after which to start, or "latest"
-- Returns {user, seq of the first event returned, events, rooms}, or nothing if the job is unknown
local job, events = unpack(KEYS)
local after = unpack(ARGV)
local user, rooms = unpack(redis.call("HMGET", job, "user", "rooms"))
if not user then
  return false
end
local entries
if after == "latest" then
  entries = redis.call("XREVRANGE", events, "+", "-", "COUNT", 1)
else
  entries = redis.call("XRANGE", events, "(" .. after .. "-0", "+")
end
local seq = entries[1] and string.match(entries[1][1], "%d+") or 0
for index, entry in ipairs(entries) do
  entries[index] = entry[2][2]
end
return { user, seq, entries, rooms or "" }
