-- Finds jobs that nobody works on: their lease has run out, or their message was lost. And clears lists of jobs that
-- have expired since the last was added, so that reading one, or its length, is never about long forgotten jobs.
-- KEYS: due, waiting, claimed, queue of new jobs, queue of resumed jobs, then those lists
-- ARGV: how many of each set at most, ms before a new job and before one to be resumed is looked at again, ms for
-- which a message to resume is trusted to be in its queue, prefix of job
-- Returns rows of {job id, request, attempt}
local due, waiting, claimed, queue, resumed_queue = unpack(KEYS)
local FIRST_LIST = 6
local limit, grace_ms, resume_grace_ms, resume_trust_ms, job_prefix = unpack(ARGV)
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local queued, reached = redis.call("LLEN", queue) > 0, tonumber(redis.call("GET", claimed) or "0")
local resumed_queued = redis.call("LLEN", resumed_queue) > 0
local now_ms = string.format("%.0f", now)
local rows = {}
-- Money may be on its way for a begun job: those come first, and a backlog of waiting ones takes none of their limit.
for _, set in ipairs({ due, waiting }) do
  for _, job_id in ipairs(redis.call("ZRANGE", set, "-inf", now_ms, "BYSCORE", "LIMIT", 0, limit)) do
    local job = job_prefix .. job_id
    local status, attempt, serial, request, sent = unpack(
      redis.call("HMGET", job, "status", "attempt", "serial", "request", "sent"))
    if not status or status == "completed" or status == "failed" then
      redis.call("ZREM", set, job_id)
    else
      local fresh = attempt == "0"
      redis.call("ZADD", set, string.format("%.0f", now + (fresh and grace_ms or resume_grace_ms)), job_id)
      -- A queue is served in order: as long as it holds messages and none sent later has been taken, a new job waits
      -- its turn, and sending it again would only lengthen the queue. So does a job to be resumed, but only once it was
      -- sent, for the messages there may all be others'; and not for ever, for its own may be lost, with whoever was
      -- to send or had just taken it, while those of others come without end.
      local waits = fresh and queued and tonumber(serial) >= reached
        or not fresh and resumed_queued and now < (sent or 0) + resume_trust_ms
      if not waits then
        rows[#rows + 1] = { job_id, request, attempt }
        if not fresh then
          redis.call("HSET", job, "sent", now_ms)
        end
      end
    end
  end
end
for place = FIRST_LIST, #KEYS do
  for _, job_id in ipairs(redis.call("ZRANGE", KEYS[place], 0, limit - 1)) do
    if redis.call("EXISTS", job_prefix .. job_id) == 1 then
      break -- what came later is still there, or goes with a later sweep
    end
    redis.call("ZREM", KEYS[place], job_id)
  end
end
return rows
