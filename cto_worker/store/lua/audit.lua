-- Appends a change to the audit log. Returns the entry's number
-- ARGV: the change, see Change.encode
local change = unpack(ARGV)
return append_audit(change)
