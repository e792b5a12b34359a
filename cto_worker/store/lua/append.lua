-- Appends events to a job: checks, records and publishes them in one atomic step.
-- KEYS: job, events, meta, step durations, then due and intents of a claimed job, or waiting of an unclaimed one
-- ARGV: see RedisJournal.append; the last ones are the number of earlier events, these events, and the new fields of
-- the intent log as field, value, ...
-- Returns {1 if cancellation was requested, else 0; median step duration of recent runs in ms, or ""}
local job, events, meta, durations, due, intents = unpack(KEYS)
local job_id, seq, attempt, phase, progress, status, event, retention_s, channel_prefix,
  result, date_done, open_prefix, list_prefix, step_ms, max_samples, job_prefix, review, earlier = unpack(ARGV)
local FIRST_EARLIER = 19
local first_intent = FIRST_EARLIER + earlier

local function median(samples)
  table.sort(samples, function(left, right) return tonumber(left) < tonumber(right) end)
  local middle = math.floor(#samples / 2)
  if #samples % 2 == 1 then
    return samples[middle + 1]
  end
  return #samples > 0 and tostring((samples[middle] + samples[middle + 1]) / 2) or ""
end

local record = redis.call("HMGET", job, "seq", "attempt", "status", "progress", "cancel", "rooms", "user", "serial")
local last_seq, owner, old_status, last_progress, cancel, rooms, user, serial = unpack(record)
local function answer()
  return { cancel and 1 or 0, redis.call("HGET", durations, "median") or "" }
end
if not last_seq then
  return redis.error_reply("NOTFOUND no such job")
end
if last_seq == seq and redis.call("XREVRANGE", events, "+", "-", "COUNT", 1)[1][2][2] == event then
  return answer() -- a retry: the answer to the first call was lost
end
if old_status == "completed" or old_status == "failed" then
  return redis.error_reply("ENDED the job has its terminal event")
end
if owner ~= attempt then
  return redis.error_reply("FENCED the job belongs to attempt " .. owner)
end
if seq - earlier ~= last_seq + 1 or tonumber(progress) < tonumber(last_progress) then
  return redis.error_reply("SEQUENCE the latest event has seq " .. last_seq .. " and progress " .. last_progress)
end

local terminal = status == "completed" or status == "failed"
local state = (status == "completed" and "SUCCESS") or (status == "failed" and "FAILURE") or "PROGRESS"
local new_status = terminal and status or "active"
local metadata = '{"status":"' .. state .. '","result":' .. (terminal and result or event)
  .. ',"traceback":null,"children":[],"date_done":' .. (terminal and '"' .. date_done .. '"' or "null")
  .. ',"task_id":"' .. job_id .. '"}'

for index = FIRST_EARLIER, first_intent - 1 do
  redis.call("XADD", events, string.format("%d-0", seq - first_intent + index), "event", ARGV[index])
end
redis.call("XADD", events, seq .. "-0", "event", event)
redis.call("HSET", job, "seq", seq, "phase", phase, "progress", progress, "status", new_status)
redis.call("SET", meta, metadata)
if #ARGV >= first_intent then
  redis.call("HSET", intents, unpack(ARGV, first_intent))
  redis.call("HSET", job, "stalls", 0) -- the job has made progress
end

if new_status ~= old_status then
  for _, list in ipairs({ list_prefix .. user, list_prefix .. "*" }) do
    redis.call("ZREM", list .. ":" .. old_status, job_id)
    redis.call("ZADD", list .. ":" .. new_status, serial, job_id)
    redis.call("ZADD", list .. ":all", serial, job_id) -- in an earlier release the list could expire before the job
    if not terminal then
      redis.call("PERSIST", list .. ":" .. new_status)
      redis.call("PERSIST", list .. ":all")
    else
      if redis.call("EXISTS", list .. ":waiting", list .. ":active") == 0 then
        redis.call("EXPIRE", list .. ":all", 2 * retention_s)
      end
      for _, old in ipairs(redis.call("ZRANGE", list .. ":" .. new_status, 0, 1)) do
        if redis.call("EXISTS", job_prefix .. old) == 0 then
          redis.call("ZREM", list .. ":" .. new_status, old) -- expired, as in create.lua
        end
      end
      redis.call("EXPIRE", list .. ":" .. new_status, 2 * retention_s)
      if review ~= "" then
        redis.call("ZADD", list .. ":" .. review, serial, job_id)
        redis.call("EXPIRE", list .. ":" .. review, 2 * retention_s)
      end
    end
  end
end
for room in string.gmatch(rooms, "%S+") do
  if terminal then
    redis.call("ZREM", open_prefix .. room, job_id)
  end
  for index = FIRST_EARLIER, first_intent - 1 do
    redis.call("PUBLISH", channel_prefix .. room, ARGV[index])
  end
  redis.call("PUBLISH", channel_prefix .. room, event)
end
if terminal then
  for _, key in ipairs({ job, events, meta, intents }) do
    redis.call("EXPIRE", key, retention_s) -- all in the same millisecond, because time stands still in a script
  end
  redis.call("ZREM", due, job_id)
  redis.call("PUBLISH", meta, metadata) -- wakes clients that wait in Celery's AsyncResult.get()
  if step_ms ~= "" then
    -- The median is computed here once, because every append reads it.
    local samples = { step_ms }
    for sample in string.gmatch(redis.call("HGET", durations, "samples") or "", "%S+") do
      if #samples < tonumber(max_samples) then
        samples[#samples + 1] = sample
      end
    end
    redis.call("HSET", durations, "samples", table.concat(samples, " "), "median", median(samples))
    redis.call("EXPIRE", durations, 2 * retention_s)
  end
end
return answer()
