#!lua flags=allow-oom
-- Records that jobs are in the archive. All keys of a job then expire in the same millisecond, some time after its end.
-- A job that is recorded again keeps its expiry.
-- ARGV: ms from the end of a job to its expiry, then the job ids
local retention_ms = unpack(ARGV)
local now = now_ms()
redis.call("SET", ARCHIVED, integer(now))
for index = REST, #ARGV do
  local job_id = ARGV[index]
  local job = JOB_PREFIX .. job_id
  local user, ended_ms = unpack(redis.call("HMGET", job, "user", "ended"))
  redis.call("ZREM", ENDED, job_id)
  for _, owner in ipairs({ ALL_OWNERS, user or nil }) do
    redis.call("ZREM", UNARCHIVED_PREFIX .. owner, job_id)
    if redis.call("EXISTS", UNARCHIVED_PREFIX .. owner) == 0 then
      for _, name in ipairs({ "all", "completed", "failed" }) do
        redis.call("PEXPIRE", LIST_PREFIX .. owner .. ":" .. name, integer(2 * retention_ms))
      end
    end
  end
  if user then
    ended_ms = ended_ms or integer(now) -- an earlier release did not record it
    redis.call("HSET", job, "ended", ended_ms, "archived", 1)
    for _, prefix in ipairs({ EVENTS_PREFIX, META_PREFIX, INTENTS_PREFIX, JOB_PREFIX }) do
      redis.call("PEXPIREAT", prefix .. job_id, integer(ended_ms + retention_ms))
    end
  end
end
