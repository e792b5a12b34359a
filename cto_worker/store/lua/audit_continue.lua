-- Continues the audit log after an entry of the archive, if the store's last entry is older. Returns 1 if it is
-- ARGV: number and hash of that entry
local number, hash = unpack(ARGV)
local last = redis.call("HGET", AUDIT_HEAD, "number")
if tonumber(last or 0) >= tonumber(number) then
  return 0
end
redis.call("HSET", AUDIT_HEAD, "number", number, "hash", hash)
return 1
