-- Claims a job for one run: a waiting job, or a job whose lease has expired or was released.
-- A waiting job becomes active with the first event of the run, not with the claim.
-- KEYS: job, events, intents, due, waiting, highest claimed. ARGV: job id, claimant, lease in ms
-- Returns {attempt, latest event, request, stalls, ms since the first claim, trace context or "",
-- the intent log as field, value, ...},
-- or nothing if the job cannot be claimed
local job, events, intents, due, waiting, highest_claimed = unpack(KEYS)
local job_id, claimant, lease_ms = unpack(ARGV)
local attempt, owner, request, status, lease, released, stalls, begun, serial, trace = unpack(redis.call("HMGET", job,
  "attempt", "claimant", "request", "status", "lease", "released", "stalls", "begun", "serial", "trace"))
if not attempt or status == "completed" or status == "failed" then
  return false
end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
stalls = tonumber(stalls or "0")
if owner ~= claimant then
  if attempt ~= "0" then
    if tonumber(lease) > now then
      return false
    end
    if released ~= "1" then
      stalls = stalls + 1
    end
  end
  attempt = attempt + 1
end
begun = begun or now
local until_ms = string.format("%.0f", now + lease_ms)
redis.call("HSET", job, "attempt", attempt, "claimant", claimant, "lease", until_ms, "released", 0, "sent", 0,
  "stalls", stalls, "begun", string.format("%.0f", begun))
redis.call("ZREM", waiting, job_id)
redis.call("ZADD", due, until_ms, job_id)
if tonumber(serial) > tonumber(redis.call("GET", highest_claimed) or "0") then
  redis.call("SET", highest_claimed, serial)
end
local latest = redis.call("XREVRANGE", events, "+", "-", "COUNT", 1)[1][2][2]
return { attempt, latest, request, stalls, now - begun, trace or "", redis.call("HGETALL", intents) }
