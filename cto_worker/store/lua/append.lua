-- One step of a job: checked, recorded, published, all or nothing.
-- KEYS: job, events, meta, pace, due (of a job that no run has claimed: waiting), intents (of one that a run has)
-- ARGV: see RedisJournal.append; at the end how many events come right before this one, those, and what is new in
-- the intent log, as field, value, ...
-- Returns {1 when somebody has asked to cancel the job, else 0; the median pace of recent runs, or ""}
local job, events, meta, pace, due, intents = unpack(KEYS)
local job_id, seq, attempt, phase, progress, status, event, retention_s, channel_prefix,
  result, date_done, open_prefix, list_prefix, step_ms, pace_runs, job_prefix, review, earlier = unpack(ARGV)
local FIRST_EARLIER = 19
local first_intent = FIRST_EARLIER + earlier

local function median(samples)
  table.sort(samples, function(one, other) return tonumber(one) < tonumber(other) end)
  local middle = math.floor(#samples / 2)
  if #samples % 2 == 1 then
    return samples[middle + 1]
  end
  return #samples > 0 and tostring((samples[middle] + samples[middle + 1]) / 2) or ""
end

local now = redis.call("HMGET", job, "seq", "attempt", "status", "progress", "cancel", "rooms", "user", "serial")
local last_seq, owner, was, last_progress, cancel, rooms, user, serial = unpack(now)
local function receipt()
  return { cancel and 1 or 0, redis.call("HGET", pace, "median") or "" }
end
if not last_seq then
  return redis.error_reply("NOTFOUND no such job")
end
if last_seq == seq and redis.call("XREVRANGE", events, "+", "-", "COUNT", 1)[1][2][2] == event then
  return receipt() -- the answer to this very step was lost, and it came again
end
if was == "completed" or was == "failed" then
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
local is = terminal and status or "active"
local metadata = '{"status":"' .. state .. '","result":' .. (terminal and result or event)
  .. ',"traceback":null,"children":[],"date_done":' .. (terminal and '"' .. date_done .. '"' or "null")
  .. ',"task_id":"' .. job_id .. '"}'

for place = FIRST_EARLIER, first_intent - 1 do
  redis.call("XADD", events, string.format("%d-0", seq - first_intent + place), "event", ARGV[place])
end
redis.call("XADD", events, seq .. "-0", "event", event)
redis.call("HSET", job, "seq", seq, "phase", phase, "progress", progress, "status", is)
redis.call("SET", meta, metadata)
if #ARGV >= first_intent then
  redis.call("HSET", intents, unpack(ARGV, first_intent))
  redis.call("HSET", job, "stalls", 0) -- the job has got further
end

if is ~= was then
  for _, list in ipairs({ list_prefix .. user, list_prefix .. "*" }) do
    redis.call("ZREM", list .. ":" .. was, job_id)
    redis.call("ZADD", list .. ":" .. is, serial, job_id)
    redis.call("ZADD", list .. ":all", serial, job_id) -- lists of the version before could expire while a job waited
    if not terminal then
      redis.call("PERSIST", list .. ":" .. is)
      redis.call("PERSIST", list .. ":all")
    else
      if redis.call("EXISTS", list .. ":waiting", list .. ":active") == 0 then
        redis.call("EXPIRE", list .. ":all", 2 * retention_s)
      end
      for _, old in ipairs(redis.call("ZRANGE", list .. ":" .. is, 0, 1)) do
        if redis.call("EXISTS", job_prefix .. old) == 0 then
          redis.call("ZREM", list .. ":" .. is, old) -- expired, as in create.lua
        end
      end
      redis.call("EXPIRE", list .. ":" .. is, 2 * retention_s)
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
  for place = FIRST_EARLIER, first_intent - 1 do
    redis.call("PUBLISH", channel_prefix .. room, ARGV[place])
  end
  redis.call("PUBLISH", channel_prefix .. room, event)
end
if terminal then
  for _, key in ipairs({ job, events, meta, intents }) do
    redis.call("EXPIRE", key, retention_s) -- in the same millisecond: a script's time stands still
  end
  redis.call("ZREM", due, job_id)
  redis.call("PUBLISH", meta, metadata) -- what wakes Celery's own AsyncResult.get() of other clients
  if step_ms ~= "" then
    -- The median is taken here, once, and not by every step that reads it.
    local samples = { step_ms }
    for sample in string.gmatch(redis.call("HGET", pace, "samples") or "", "%S+") do
      if #samples < tonumber(pace_runs) then
        samples[#samples + 1] = sample
      end
    end
    redis.call("HSET", pace, "samples", table.concat(samples, " "), "median", median(samples))
    redis.call("EXPIRE", pace, 2 * retention_s)
  end
end
return receipt()
