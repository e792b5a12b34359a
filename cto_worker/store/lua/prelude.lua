-- Functions for all scripts. script_runner.py puts this file before each script, and before this file the constants that the
-- script uses: those of keys.py by their names, and REST, the position of the first of ARGV without a name.

local function now_ms()
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The digits of a number: Lua itself writes large numbers as 1e+12.
local function integer(number)
  return string.format("%.0f", number)
end

local function ended(status)
  return status == "completed" or status == "failed"
end

local function latest_event(events)
  local entry = redis.call("XREVRANGE", events, "+", "-", "COUNT", 1)[1]
  return entry and entry[2][2]
end

-- The outcomes that operators have recorded for unknown intents of a job: {intent id, resolution, intent id, …}
local function resolutions(job, status)
  local found = {}
  for _, field in ipairs(ended(status) and redis.call("HKEYS", job) or {}) do
    if string.sub(field, 1, #RESOLVED_FIELD) == RESOLVED_FIELD then
      found[#found + 1] = string.sub(field, #RESOLVED_FIELD + 1)
      found[#found + 1] = redis.call("HGET", job, field)
    end
  end
  return found
end

-- Celery's result metadata. `result` and `date_done` are JSON.
local function metadata(job_id, state, result, date_done)
  return '{"status":"' .. state .. '","result":' .. result .. ',"traceback":null,"children":[],"date_done":'
    .. date_done .. ',"task_id":"' .. job_id .. '"}'
end

-- The error for a write by `attempt`, or nil if it owns the job. `owner` and `status` are fields of the job record.
local function refusal(owner, status, attempt)
  if not owner then
    return redis.error_reply("NOTFOUND no such job")
  end
  if ended(status) then
    return redis.error_reply("ENDED the job has its terminal event")
  end
  if owner ~= attempt then
    return redis.error_reply("FENCED the job belongs to attempt " .. owner)
  end
end

-- Removes the two oldest jobs of a list if they have expired. Called for each job that is added, so expired jobs are
-- removed at least as fast as jobs are added.
local function remove_expired(list)
  for _, job_id in ipairs(redis.call("ZRANGE", list, 0, 1)) do
    if redis.call("EXISTS", JOB_PREFIX .. job_id) == 0 then
      redis.call("ZREM", list, job_id)
    end
  end
end

