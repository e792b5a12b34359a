-- Returns the oldest entries of the audit log. Writes something that changes nothing, so that WAITAOF can confirm that
-- they are on disk.
-- ARGV: maximum number of entries
local count = unpack(ARGV)
local entries = redis.call("XRANGE", AUDIT, "-", "+", "COUNT", count)
if #entries > 0 then
  redis.call("HSET", AUDIT_HEAD, "read", entries[#entries][1])
end
return entries
