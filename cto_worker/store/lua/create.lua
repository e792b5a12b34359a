-- Records a job with its first event, or finds the job that the same submission created before.
-- KEYS: job, events, meta, serial counter, waiting; with an idempotency key also the idempotency hash and the
-- ambiguous one, which earlier releases read
-- ARGV: see RedisJournal.create
-- The keys of a job do not expire before it has ended: append.lua sets their expiry.
-- Returns {job id, 1 if new, fingerprint of the request that created the job, status}
local job, events, meta, serial_counter, waiting, idempotency, ambiguous = unpack(KEYS)
local job_id, event, request, user, phase, progress, created_ms, rooms, fingerprint, idempotency_ttl_s,
  channel_prefix, open_prefix, list_prefix, job_prefix, check_delay_ms, trace, caller_user = unpack(ARGV)

-- The ambiguous key counts only if its job belongs to this caller. The service's keys are never ambiguous.
local function existing_key()
  if redis.call("EXISTS", idempotency) == 1 then
    return idempotency
  end
  local found = redis.call("HGET", ambiguous, "job")
  if found and (caller_user == "" or redis.call("HGET", job_prefix .. found, "user") == caller_user) then
    return ambiguous
  end
end

if idempotency then
  local known = existing_key()
  if known then
    local first_job, first_fingerprint = unpack(redis.call("HMGET", known, "job", "fingerprint"))
    -- WAITAOF waits for the last write of a connection, so a repeated submission must also write something.
    redis.call("HSET", known, "job", first_job)
    local new = first_job == job_id and 1 or 0 -- the same id: a retry, because the first answer was lost
    return { first_job, new, first_fingerprint, redis.call("HGET", job_prefix .. first_job, "status") }
  end
end
if redis.call("EXISTS", job) == 1 then
  redis.call("HSET", job, "serial", redis.call("HGET", job, "serial")) -- a write, for WAITAOF as above
  local first_entry = redis.call("XRANGE", events, "1-0", "1-0")[1]
  local new = first_entry and first_entry[2][2] == event and 1 or 0
  return { job_id, new, fingerprint, redis.call("HGET", job, "status") }
end

local serial = redis.call("INCR", serial_counter)
redis.call("HSET", job, "request", request, "user", user, "rooms", rooms, "serial", serial,
  "status", "waiting", "attempt", 0, "seq", 1, "phase", phase, "progress", progress, "created", created_ms)
if trace ~= "" then
  redis.call("HSET", job, "trace", trace)
end
local time = redis.call("TIME")
redis.call("ZADD", waiting, string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000) + check_delay_ms), job_id)
redis.call("XADD", events, "1-0", "event", event)
redis.call("SET", meta, '{"status":"PROGRESS","result":' .. event
  .. ',"traceback":null,"children":[],"date_done":null,"task_id":"' .. job_id .. '"}')
if idempotency then
  redis.call("HSET", idempotency, "job", job_id, "fingerprint", fingerprint)
  redis.call("EXPIRE", idempotency, idempotency_ttl_s)
  -- During an upgrade a repeated submission may reach a process of an earlier release.
  if redis.call("EXISTS", ambiguous) == 0 then
    redis.call("HSET", ambiguous, "job", job_id, "fingerprint", fingerprint)
    redis.call("EXPIRE", ambiguous, idempotency_ttl_s)
  end
end

-- A list must not expire while it has an unfinished job; append.lua sets its expiry. Each new job checks the two
-- oldest entries, so expired jobs are removed at least as fast as jobs are added.
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
