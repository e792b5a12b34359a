-- Returns jobs that are not in the archive, newest first.
-- KEYS: the set of an owner's unarchived jobs
-- ARGV: how many jobs to look at; the position after which to start: created ms and job id, or "" and ""; the status
-- that a job must have, or ""; 1 to return requests and intent logs
-- Returns {rows of {job id, status, created ms, latest event, 1 if the job needs review, resolutions, request, intent
-- log}, created ms and id of the last job that was looked at}; without them if there are no more jobs
local index = unpack(KEYS)
local count, after_ms, after_id, status, documents = unpack(ARGV)
count = tonumber(count)

-- Lua's own comparison of strings depends on the store's locale.
local function less(left, right)
  for place = 1, math.min(#left, #right) do
    local a, b = string.byte(left, place), string.byte(right, place)
    if a ~= b then
      return a < b
    end
  end
  return #left < #right
end

local function row(id, created_ms)
  local job = JOB_PREFIX .. id
  local state, user, request = unpack(redis.call("HMGET", job, "status", "user", "request"))
  if not state or (status ~= "" and status ~= state) then
    return
  end
  local latest = latest_event(EVENTS_PREFIX .. id)
  if not latest then
    return
  end
  local review = redis.call("ZSCORE", LIST_PREFIX .. user .. ":" .. REVIEW, id)
  local found = { id, state, created_ms, latest, review and 1 or 0, resolutions(job, state) }
  if documents == "1" then
    found[7], found[8] = request, redis.call("HGETALL", INTENTS_PREFIX .. id)
  end
  return found
end

local rows, looked_at, offset = {}, 0, 0
local newest = after_ms == "" and "+inf" or after_ms
while true do
  local found = redis.call("ZRANGE", index, newest, "-inf", "BYSCORE", "REV", "LIMIT", offset, count, "WITHSCORES")
  for place = 1, #found, 2 do
    local id, created_ms = found[place], found[place + 1]
    if created_ms ~= after_ms or less(id, after_id) then
      rows[#rows + 1] = row(id, created_ms)
      looked_at = looked_at + 1
      if looked_at == count then
        return { rows, created_ms, id }
      end
    end
  end
  if #found == 0 then
    return { rows }
  end
  offset = offset + count
end
