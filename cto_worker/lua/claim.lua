-- Takes a waiting job for one run. The first event of the run, not the claim, makes the job active.
-- KEYS: job. ARGV: claimant
-- Returns {attempt, latest seq, request}, or nothing when the job is not to be had
local job, claimant = KEYS[1], ARGV[1]
local attempt, owner, seq, request, status = unpack(
  redis.call("HMGET", job, "attempt", "claimant", "seq", "request", "status"))
if not attempt or status == "completed" or status == "failed" then
  return false
end
if owner ~= claimant then
  if attempt ~= "0" then
    return false
  end
  attempt = "1"
  redis.call("HSET", job, "attempt", attempt, "claimant", claimant)
end
return { attempt, seq, request }
