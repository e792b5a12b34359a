-- Revokes tokens. Returns the number of revocations so far
-- KEYS: the revocations, their counter
-- ARGV: name of the revocation, the present time and its expiry (s), the change for the audit log
local revoked, count = unpack(KEYS)
local name, now_s, expires_s, change = unpack(ARGV)
append_audit(change)
redis.call("ZREMRANGEBYSCORE", revoked, "-inf", now_s)
redis.call("ZADD", revoked, expires_s, name)
return redis.call("INCR", count)
