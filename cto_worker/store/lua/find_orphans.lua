-- Finds orphans: jobs whose lease has expired or whose message was lost. Also removes expired jobs from the global
-- lists, so that the lists and their lengths are correct even if no job is added.
-- Returns rows of {job id, request, attempt}
local now = now_ms()
local queued, highest = redis.call("LLEN", QUEUE) > 0, tonumber(redis.call("GET", HIGHEST_CLAIMED) or "0")
local resumed_queued = redis.call("LLEN", RESUMED_QUEUE) > 0
local rows = {}
-- Claimed jobs come first, because an order of theirs may be in flight. Each set has its own limit, so a backlog of
-- waiting jobs cannot delay them.
for _, set in ipairs({ DUE, WAITING }) do
  for _, job_id in ipairs(redis.call("ZRANGE", set, "-inf", integer(now), "BYSCORE", "LIMIT", 0, SWEEP_LIMIT)) do
    local job = JOB_PREFIX .. job_id
    local status, attempt, serial, request, sent = unpack(
      redis.call("HMGET", job, "status", "attempt", "serial", "request", "sent"))
    if not status or ended(status) then
      redis.call("ZREM", set, job_id)
    else
      local fresh = attempt == "0"
      local delay_ms = fresh and NEW_MESSAGE_CHECK_DELAY_MS or RESUME_CHECK_DELAY_MS
      redis.call("ZADD", set, integer(now + delay_ms), job_id)
      -- A queue is served in order. A new job is still queued while the queue has messages and no later job has been
      -- claimed; another message would only make the queue longer. A job to take over is assumed to be queued only
      -- after its message was sent, because all queued messages may belong to other jobs, and only for a limited time:
      -- its message may be lost with a dead process, while the queue never becomes empty.
      local in_queue = fresh and queued and tonumber(serial) >= highest
        or not fresh and resumed_queued and now < (sent or 0) + RESENT_MESSAGE_TTL_MS
      if not in_queue then
        rows[#rows + 1] = { job_id, request, attempt }
        if not fresh then
          redis.call("HSET", job, "sent", integer(now))
        end
      end
    end
  end
end
for _, status in ipairs({ "all", "waiting", "active", "completed", "failed", REVIEW }) do
  local list = LIST_PREFIX .. ALL_OWNERS .. ":" .. status
  for _, job_id in ipairs(redis.call("ZRANGE", list, 0, SWEEP_LIMIT - 1)) do
    if redis.call("EXISTS", JOB_PREFIX .. job_id) == 1 then
      break -- later jobs have not expired, or a later sweep removes them
    end
    redis.call("ZREM", list, job_id)
  end
end
return rows
