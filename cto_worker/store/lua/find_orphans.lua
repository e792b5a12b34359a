-- Finds orphans: jobs whose lease has expired or whose message was lost. Also removes expired jobs from the global
-- lists, so that the lists and their lengths are correct even if no job is added.
-- KEYS: due, waiting, highest claimed, queue of new jobs, queue of jobs to take over, then the global lists
-- ARGV: maximum per set, ms until a new job is checked again, ms until a job to take over is checked again, ms for
-- which a resent message is assumed to be in its queue, prefix of job keys
-- Returns rows of {job id, request, attempt}
local due, waiting, highest_claimed, queue, resumed_queue = unpack(KEYS)
local FIRST_LIST = 6
local limit, new_delay_ms, resume_delay_ms, resent_ttl_ms, job_prefix = unpack(ARGV)
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local queued, highest = redis.call("LLEN", queue) > 0, tonumber(redis.call("GET", highest_claimed) or "0")
local resumed_queued = redis.call("LLEN", resumed_queue) > 0
local now_ms = string.format("%.0f", now)
local rows = {}
-- Claimed jobs come first, because an order of theirs may be in flight. Each set has its own limit, so a backlog of
-- waiting jobs cannot delay them.
for _, set in ipairs({ due, waiting }) do
  for _, job_id in ipairs(redis.call("ZRANGE", set, "-inf", now_ms, "BYSCORE", "LIMIT", 0, limit)) do
    local job = job_prefix .. job_id
    local status, attempt, serial, request, sent = unpack(
      redis.call("HMGET", job, "status", "attempt", "serial", "request", "sent"))
    if not status or status == "completed" or status == "failed" then
      redis.call("ZREM", set, job_id)
    else
      local fresh = attempt == "0"
      redis.call("ZADD", set, string.format("%.0f", now + (fresh and new_delay_ms or resume_delay_ms)), job_id)
      -- A queue is served in order. A new job is still queued while the queue has messages and no later job has been
      -- claimed; another message would only make the queue longer. A job to take over is assumed to be queued only
      -- after its message was sent, because all queued messages may belong to other jobs, and only for a limited time:
      -- its message may be lost with a dead process, while the queue never becomes empty.
      local in_queue = fresh and queued and tonumber(serial) >= highest
        or not fresh and resumed_queued and now < (sent or 0) + resent_ttl_ms
      if not in_queue then
        rows[#rows + 1] = { job_id, request, attempt }
        if not fresh then
          redis.call("HSET", job, "sent", now_ms)
        end
      end
    end
  end
end
for index = FIRST_LIST, #KEYS do
  for _, job_id in ipairs(redis.call("ZRANGE", KEYS[index], 0, limit - 1)) do
    if redis.call("EXISTS", job_prefix .. job_id) == 1 then
      break -- later jobs have not expired, or a later sweep removes them
    end
    redis.call("ZREM", KEYS[index], job_id)
  end
end
return rows
