-- Records a job with its first event; or finds the job the same submission made before.
-- KEYS: job, events, meta, serial counter, waiting, and, when the caller gave an idempotency key, that
-- ARGV: see RedisJournal.create
-- Nothing of a job expires before it has ended: append.lua sees to that.
-- Returns {job id, 1 when new, fingerprint of the request the job was made from, status}
local job, events, meta, serial_counter, waiting, idempotency = unpack(KEYS)
local job_id, event, request, user, phase, progress, created_ms, rooms, fingerprint, idempotency_ttl_s,
  channel_prefix, open_prefix, list_prefix, job_prefix, grace_ms, trace = unpack(ARGV)

if idempotency then
  local first = redis.call("HMGET", idempotency, "job", "fingerprint")
  if first[1] then
    redis.call("HSET", idempotency, "job", first[1]) -- who waits for replicas waits for what this connection wrote last
    return { first[1], 0, first[2], redis.call("HGET", job_prefix .. first[1], "status") }
  end
end
if redis.call("EXISTS", job) == 1 then
  return { job_id, 0, fingerprint, redis.call("HGET", job, "status") }
end

local serial = redis.call("INCR", serial_counter)
redis.call("HSET", job, "request", request, "user", user, "rooms", rooms, "serial", serial,
  "status", "waiting", "attempt", 0, "seq", 1, "phase", phase, "progress", progress, "created", created_ms)
if trace ~= "" then
  redis.call("HSET", job, "trace", trace)
end
local time = redis.call("TIME")
redis.call("ZADD", waiting, string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000) + grace_ms), job_id)
redis.call("XADD", events, "1-0", "event", event)
redis.call("SET", meta, '{"status":"PROGRESS","result":' .. event
  .. ',"traceback":null,"children":[],"date_done":null,"task_id":"' .. job_id .. '"}')
if idempotency then
  redis.call("HSET", idempotency, "job", job_id, "fingerprint", fingerprint)
  redis.call("EXPIRE", idempotency, idempotency_ttl_s)
end

-- A list expires only when no job on it is still to end; append.lua sees to that. Each new job looks at the two
-- oldest, so what has expired is cleared as fast as it is added.
for _, owner in ipairs({ user, "*" }) do
  redis.call("ZADD", list_prefix .. owner .. ":waiting", serial, job_id)
  local all = list_prefix .. owner .. ":all"
  for _, old in ipairs(redis.call("ZRANGE", all, 0, 1)) do
    if redis.call("EXISTS", job_prefix .. old) == 0 then
      redis.call("ZREM", all, old)
    end
  end
  redis.call("ZADD", all, serial, job_id)
  redis.call("PERSIST", all)
end
for room in string.gmatch(rooms, "%S+") do
  redis.call("ZADD", open_prefix .. room, serial, job_id)
  redis.call("PUBLISH", channel_prefix .. room, event)
end
return { job_id, 1, fingerprint, "waiting" }
