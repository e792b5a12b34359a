-- Claims a job for one run: a waiting job, or a job whose lease has expired or was released.
-- A waiting job becomes active with the first event of the run, not with the claim.
-- KEYS: job, events, intents. ARGV: job id, claimant, lease in ms
-- Returns {attempt, latest event, request, stalls, ms since the first claim, trace context or "",
-- the intent log as field, value, ...},
-- or nothing if the job cannot be claimed
local job, events, intents = unpack(KEYS)
local job_id, claimant, lease_ms = unpack(ARGV)
local attempt, owner, request, status, lease, released, stalls, begun, serial, trace = unpack(redis.call("HMGET", job,
  "attempt", "claimant", "request", "status", "lease", "released", "stalls", "begun", "serial", "trace"))
if not attempt or ended(status) then
  return false
end
local now = now_ms()
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
local until_ms = integer(now + lease_ms)
redis.call("HSET", job, "attempt", attempt, "claimant", claimant, "lease", until_ms, "released", 0, "sent", 0,
  "stalls", stalls, "begun", integer(begun))
redis.call("ZREM", WAITING, job_id)
redis.call("ZADD", DUE, until_ms, job_id)
if tonumber(serial) > tonumber(redis.call("GET", HIGHEST_CLAIMED) or "0") then
  redis.call("SET", HIGHEST_CLAIMED, serial)
end
return { attempt, latest_event(events), request, stalls, now - begun, trace or "", redis.call("HGETALL", intents) }
