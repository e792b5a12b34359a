-- Publishes a gateway's heartbeat. It contains the serial number of the last accepted job: the first event of every
-- job up to this number was published earlier.
-- KEYS: the gateway's channel
local channel = unpack(KEYS)
return redis.call("PUBLISH", channel, redis.call("GET", SERIAL) or "0")
