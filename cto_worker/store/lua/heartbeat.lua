-- Records a process's heartbeat and adds its new counts. A repeated heartbeat changes nothing.
-- ARGV: process id, number of this heartbeat, its content (JSON), ms after which a silent process is deleted, and the
-- counts since the last heartbeat as field, increment, ...
local id, number, content, forget_ms = unpack(ARGV)
local now = now_ms()
local known = redis.call("HGET", PROCESSES, id)
if known and tonumber(string.match(known, "^%d+ (%d+) ")) >= tonumber(number) then
  return
end
for index = REST, #ARGV, 2 do
  redis.call("HINCRBYFLOAT", COUNTS, ARGV[index], ARGV[index + 1])
end
redis.call("HSET", PROCESSES, id, string.format("%d %d %s", now, number, content))
local all = redis.call("HGETALL", PROCESSES)
for index = 1, #all, 2 do
  if now - tonumber(string.match(all[index + 1], "^%d+")) > tonumber(forget_ms) then
    redis.call("HDEL", PROCESSES, all[index])
  end
end
