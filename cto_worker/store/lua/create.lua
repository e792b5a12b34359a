-- Records a job with its first event, or finds the job that the same submission created before.
-- KEYS: job, events, meta, the idempotency hash, the ambiguous one, which earlier releases read
-- ARGV: see RedisJournal.create; rooms separated by spaces
-- The keys of a job do not expire before it is archived: archived.lua sets their expiry.
-- Returns {job id, 1 if new, fingerprint of the request that created the job, status}
local job, events, meta, idempotency, ambiguous = unpack(KEYS)
local job_id, event, request, user, phase, progress, created_ms, rooms, trace, caller_user, fingerprint = unpack(ARGV)

-- The ambiguous key counts only if its job belongs to this caller. The service's keys are never ambiguous.
local function existing_key()
  if redis.call("EXISTS", idempotency) == 1 then
    return idempotency
  end
  local found = redis.call("HGET", ambiguous, "job")
  if found and (caller_user == "" or redis.call("HGET", JOB_PREFIX .. found, "user") == caller_user) then
    return ambiguous
  end
end

if fingerprint ~= "" then
  local known = existing_key()
  if known then
    local first_job, first_fingerprint = unpack(redis.call("HMGET", known, "job", "fingerprint"))
    -- WAITAOF waits for the last write of a connection, so a repeated submission must also write something.
    redis.call("HSET", known, "job", first_job)
    local new = first_job == job_id and 1 or 0 -- the same id: a retry, because the first answer was lost
    return { first_job, new, first_fingerprint, redis.call("HGET", JOB_PREFIX .. first_job, "status") }
  end
end
if redis.call("EXISTS", job) == 1 then
  redis.call("HSET", job, "serial", redis.call("HGET", job, "serial")) -- a write, for WAITAOF as above
  local first_entry = redis.call("XRANGE", events, "1-0", "1-0")[1]
  local new = first_entry and first_entry[2][2] == event and 1 or 0
  return { job_id, new, fingerprint, redis.call("HGET", job, "status") }
end

local serial = redis.call("INCR", SERIAL)
redis.call("HSET", job, "request", request, "user", user, "rooms", rooms, "serial", serial,
  "status", "waiting", "attempt", 0, "seq", 1, "phase", phase, "progress", progress, "created", created_ms)
if trace ~= "" then
  redis.call("HSET", job, "trace", trace)
end
redis.call("ZADD", WAITING, integer(now_ms() + NEW_MESSAGE_CHECK_DELAY_MS), job_id)
redis.call("XADD", events, "1-0", "event", event)
redis.call("SET", meta, metadata(job_id, "PROGRESS", event, "null"))
if fingerprint ~= "" then
  redis.call("HSET", idempotency, "job", job_id, "fingerprint", fingerprint)
  redis.call("EXPIRE", idempotency, IDEMPOTENCY_TTL_S)
  -- During an upgrade a repeated submission may reach a process of an earlier release.
  if redis.call("EXISTS", ambiguous) == 0 then
    redis.call("HSET", ambiguous, "job", job_id, "fingerprint", fingerprint)
    redis.call("EXPIRE", ambiguous, IDEMPOTENCY_TTL_S)
  end
end

-- A list must not expire while its owner has an unarchived job; archived.lua sets its expiry.
for _, owner in ipairs({ user, ALL_OWNERS }) do
  local waiting_jobs = LIST_PREFIX .. owner .. ":waiting"
  redis.call("ZADD", waiting_jobs, serial, job_id)
  redis.call("PERSIST", waiting_jobs)
  local all = LIST_PREFIX .. owner .. ":all"
  remove_expired(all)
  redis.call("ZADD", all, serial, job_id)
  redis.call("PERSIST", all)
  redis.call("ZADD", UNARCHIVED_PREFIX .. owner, created_ms, job_id)
end
for room in string.gmatch(rooms, "%S+") do
  redis.call("ZADD", OPEN_PREFIX .. room, serial, job_id)
  redis.call("PERSIST", OPEN_PREFIX .. room)
  redis.call("PUBLISH", CHANNEL_PREFIX .. room, event)
end
return { job_id, 1, fingerprint, "waiting" }
