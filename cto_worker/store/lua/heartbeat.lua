-- Records a process's heartbeat and adds its new counts. A repeated heartbeat changes nothing.
-- ARGV: process id, number of this heartbeat, its content (JSON), ms after which a silent process is deleted, number of
-- counts that are also added to the current minute, and the counts since the last heartbeat as field, increment, ...,
-- those of the minute first
local id, number, content, forget_ms, of_minute = unpack(ARGV)
local now = now_ms()
local known = redis.call("HGET", PROCESSES, id)
if known and tonumber(string.match(known, "^%d+ (%d+) ")) >= tonumber(number) then
  return
end
for index = REST, #ARGV, 2 do
  redis.call("HINCRBYFLOAT", COUNTS, ARGV[index], ARGV[index + 1])
end
local minute = MINUTE_PREFIX .. integer(math.floor(now / 60000))
for index = REST, REST + 2 * of_minute - 1, 2 do
  redis.call("HINCRBYFLOAT", minute, ARGV[index], ARGV[index + 1])
end
if tonumber(of_minute) > 0 then
  redis.call("EXPIRE", minute, MINUTE_TTL_S)
end
redis.call("HSET", PROCESSES, id, string.format("%d %d %s", now, number, content))
local all = redis.call("HGETALL", PROCESSES)
for index = 1, #all, 2 do
  if now - tonumber(string.match(all[index + 1], "^%d+")) > tonumber(forget_ms) then
    redis.call("HDEL", PROCESSES, all[index])
  end
end
