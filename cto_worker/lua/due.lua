-- Finds jobs that nobody works on: their lease has run out, or their message was lost.
-- KEYS: due, claimed, queue of new jobs, queue of resumed jobs
-- ARGV: how many at most, ms before a new job and before one to be resumed is looked at again, prefix of job
-- Returns rows of {job id, request, attempt}
local due, claimed, queue, resumed_queue = unpack(KEYS)
local limit, grace_ms, resume_grace_ms, job_prefix = unpack(ARGV)
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local queued, reached = redis.call("LLEN", queue) > 0, tonumber(redis.call("GET", claimed) or "0")
local resumed_queued = redis.call("LLEN", resumed_queue) > 0
local rows = {}
for _, job_id in ipairs(redis.call("ZRANGE", due, "-inf", string.format("%.0f", now), "BYSCORE", "LIMIT", 0, limit)) do
  local status, attempt, serial, request = unpack(
    redis.call("HMGET", job_prefix .. job_id, "status", "attempt", "serial", "request"))
  if not status or status == "completed" or status == "failed" then
    redis.call("ZREM", due, job_id)
  else
    local fresh = attempt == "0"
    redis.call("ZADD", due, string.format("%.0f", now + (fresh and grace_ms or resume_grace_ms)), job_id)
    -- A queue is served in order: as long as it holds messages and none sent later has been taken, a job waits its
    -- turn, and sending it again would only lengthen the queue.
    local waits = fresh and queued and tonumber(serial) >= reached or not fresh and resumed_queued
    if not waits then
      rows[#rows + 1] = { job_id, request, attempt }
    end
  end
end
return rows
