-- Records a job with its first event; or finds the job the same submission made before.
-- KEYS: job, events, meta, serial counter, waiting, and, when the caller gave an idempotency key, that key and
-- the ambiguous one, where releases before this one look for it
-- ARGV: see RedisJournal.create
-- Nothing of a job expires before it has ended: append.lua sees to that.
-- Returns {job id, 1 when new, fingerprint of the request the job was made from, status}
local job, events, meta, serial_counter, waiting, idempotency, ambiguous = unpack(KEYS)
local job_id, event, request, user, phase, progress, created_ms, rooms, fingerprint, idempotency_ttl_s,
  channel_prefix, open_prefix, list_prefix, job_prefix, grace_ms, trace, caller_user = unpack(ARGV)

-- The ambiguous key counts only when its job is this caller's; the service shares it with nobody.
local function recorded_under()
  if redis.call("EXISTS", idempotency) == 1 then
    return idempotency
  end
  local found = redis.call("HGET", ambiguous, "job")
  if found and (caller_user == "" or redis.call("HGET", job_prefix .. found, "user") == caller_user) then
    return ambiguous
  end
end

if idempotency then
  local known = recorded_under()
  if known then
    local first = redis.call("HMGET", known, "job", "fingerprint")
    redis.call("HSET", known, "job", first[1]) -- who waits for replicas waits for what this connection wrote last
    local new = first[1] == job_id and 1 or 0 -- the answer to this very step was lost, and it came again
    return { first[1], new, first[2], redis.call("HGET", job_prefix .. first[1], "status") }
  end
end
if redis.call("EXISTS", job) == 1 then
  redis.call("HSET", job, "serial", redis.call("HGET", job, "serial")) -- for the same reason as above
  local opening = redis.call("XRANGE", events, "1-0", "1-0")[1]
  local new = opening and opening[2][2] == event and 1 or 0
  return { job_id, new, fingerprint, redis.call("HGET", job, "status") }
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
  -- A repeat may reach a process of an earlier release while an upgrade is under way.
  if redis.call("EXISTS", ambiguous) == 0 then
    redis.call("HSET", ambiguous, "job", job_id, "fingerprint", fingerprint)
    redis.call("EXPIRE", ambiguous, idempotency_ttl_s)
  end
end

-- A list expires only when no job on it is still to end; append.lua sees to that. Each new job looks at the two
-- oldest, so what has expired is cleared as fast as it is added.
for _, owner in ipairs({ user, "*" }) do
  local waiting_jobs = list_prefix .. owner .. ":waiting"
  redis.call("ZADD", waiting_jobs, serial, job_id)
  redis.call("PERSIST", waiting_jobs)
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
  redis.call("PERSIST", open_prefix .. room)
  redis.call("PUBLISH", channel_prefix .. room, event)
end
return { job_id, 1, fingerprint, "waiting" }
