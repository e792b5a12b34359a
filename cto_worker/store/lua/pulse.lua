-- A process adds what it has counted, and tells that it lives. Repeating one pulse is harmless.
-- KEYS: counts, processes
-- ARGV: the process's id, the number of this pulse, what it tells (JSON), when it is forgotten (ms), and what
-- it has counted since the pulse before, as field, growth, ...
local counts, processes = unpack(KEYS)
local id, number, told, forget_ms = unpack(ARGV)
local FIRST = 5
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call("HGET", processes, id)
if known and tonumber(string.match(known, "^%d+ (%d+) ")) >= tonumber(number) then
  return
end
for place = FIRST, #ARGV, 2 do
  redis.call("HINCRBYFLOAT", counts, ARGV[place], ARGV[place + 1])
end
redis.call("HSET", processes, id, string.format("%d %d %s", now_ms, number, told))
local all = redis.call("HGETALL", processes)
for place = 1, #all, 2 do
  if now_ms - tonumber(string.match(all[place + 1], "^%d+")) > tonumber(forget_ms) then
    redis.call("HDEL", processes, all[place])
  end
end
