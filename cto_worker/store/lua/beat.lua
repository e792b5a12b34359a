-- A gateway's heartbeat: who hears it was told the first event of every job up to this serial number before.
-- KEYS: the gateway's channel, serial counter
return redis.call("PUBLISH", KEYS[1], redis.call("GET", KEYS[2]) or "0")
