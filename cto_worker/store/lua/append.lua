-- Appends events to a job: checks, records and publishes them in one atomic step.
-- KEYS: job, events, meta, intents, step durations, and the set of the job's next sweep (due or waiting)
-- ARGV: see RedisJournal.append; then the earlier events, and the new fields of the intent log as field, value, ...
-- Returns {1 if cancellation was requested, else 0; median step duration of recent runs in ms, or ""}
local job, events, meta, intents, durations, sweep = unpack(KEYS)
local job_id, seq, attempt, phase, progress, status, event, result, date_done, step_ms, review, retention_s,
  earlier = unpack(ARGV)
local first_intent = REST + earlier

local function median(samples)
  table.sort(samples, function(left, right) return tonumber(left) < tonumber(right) end)
  local middle = math.floor(#samples / 2)
  if #samples % 2 == 1 then
    return samples[middle + 1]
  end
  return #samples > 0 and tostring((samples[middle] + samples[middle + 1]) / 2) or ""
end

local record = redis.call("HMGET", job, "seq", "attempt", "status", "progress", "cancel", "rooms", "user", "serial",
  "created")
local last_seq, owner, old_status, last_progress, cancel, rooms, user, serial, created = unpack(record)
local function answer()
  return { cancel and 1 or 0, redis.call("HGET", durations, "median") or "" }
end
if last_seq == seq and latest_event(events) == event then
  return answer() -- a retry: the answer to the first call was lost
end
local refused = refusal(owner, old_status, attempt)
if refused then
  return refused
end
if seq - earlier ~= last_seq + 1 or tonumber(progress) < tonumber(last_progress) then
  return redis.error_reply("SEQUENCE the latest event has seq " .. last_seq .. " and progress " .. last_progress)
end

local terminal = ended(status)
local state = (status == "completed" and "SUCCESS") or (status == "failed" and "FAILURE") or "PROGRESS"
local new_status = terminal and status or "active"
local celery_meta = metadata(job_id, state, terminal and result or event, terminal and '"' .. date_done .. '"' or "null")

for index = REST, first_intent - 1 do
  redis.call("XADD", events, string.format("%d-0", seq - first_intent + index), "event", ARGV[index])
end
redis.call("XADD", events, seq .. "-0", "event", event)
redis.call("HSET", job, "seq", seq, "phase", phase, "progress", progress, "status", new_status)
redis.call("SET", meta, celery_meta)
if #ARGV >= first_intent then
  redis.call("HSET", intents, unpack(ARGV, first_intent))
  redis.call("HSET", job, "stalls", 0) -- the job has made progress
end

if new_status ~= old_status then
  for _, owner in ipairs({ user, ALL_OWNERS }) do
    local list = LIST_PREFIX .. owner
    redis.call("ZREM", list .. ":" .. old_status, job_id)
    if terminal then
      remove_expired(list .. ":" .. new_status)
    end
    local names = { new_status, "all", terminal and review ~= "" and REVIEW or nil }
    for _, name in ipairs(names) do -- also "all": in an earlier release the list could expire before the job
      redis.call("ZADD", list .. ":" .. name, serial, job_id)
      redis.call("PERSIST", list .. ":" .. name)
    end
    redis.call("ZADD", UNARCHIVED_PREFIX .. owner, created, job_id) -- an earlier release may have created the job
  end
end
for room in string.gmatch(rooms, "%S+") do
  if terminal then
    redis.call("ZREM", OPEN_PREFIX .. room, job_id)
  end
  for index = REST, first_intent - 1 do
    redis.call("PUBLISH", CHANNEL_PREFIX .. room, ARGV[index])
  end
  redis.call("PUBLISH", CHANNEL_PREFIX .. room, event)
end
if terminal then
  redis.call("HSET", job, "ended", integer(now_ms()))
  if review == "" then -- otherwise resolve.lua adds the job
    redis.call("ZADD", ENDED, integer(now_ms()), job_id)
  end
  redis.call("ZREM", sweep, job_id)
  redis.call("PUBLISH", meta, celery_meta) -- wakes clients that wait in Celery's AsyncResult.get()
  if step_ms ~= "" then
    -- The median is computed here once, because every append reads it.
    local samples = { step_ms }
    for sample in string.gmatch(redis.call("HGET", durations, "samples") or "", "%S+") do
      if #samples < STEP_DURATION_SAMPLES then
        samples[#samples + 1] = sample
      end
    end
    redis.call("HSET", durations, "samples", table.concat(samples, " "), "median", median(samples))
    redis.call("EXPIRE", durations, 2 * retention_s)
  end
end
return answer()
