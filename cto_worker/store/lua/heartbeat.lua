-- Records a process's heartbeat and adds its new counts. A repeated heartbeat changes nothing.
-- KEYS: counts, processes
-- ARGV: process id, number of this heartbeat, its content (JSON), ms after which a silent process is deleted, and the
-- counts since the last heartbeat as field, increment, ...
local counts, processes = unpack(KEYS)
local id, number, content, forget_ms = unpack(ARGV)
local FIRST_COUNT = 5
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call("HGET", processes, id)
if known and tonumber(string.match(known, "^%d+ (%d+) ")) >= tonumber(number) then
  return
end
for index = FIRST_COUNT, #ARGV, 2 do
  redis.call("HINCRBYFLOAT", counts, ARGV[index], ARGV[index + 1])
end
redis.call("HSET", processes, id, string.format("%d %d %s", now_ms, number, content))
local all = redis.call("HGETALL", processes)
for index = 1, #all, 2 do
  if now_ms - tonumber(string.match(all[index + 1], "^%d+")) > tonumber(forget_ms) then
    redis.call("HDEL", processes, all[index])
  end
end
