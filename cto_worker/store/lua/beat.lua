-- Publishes a gateway's heartbeat. It contains the serial number of the last accepted job: the first event of every
-- job up to this number was published earlier.
-- KEYS: the gateway's channel, serial counter
return redis.call("PUBLISH", KEYS[1], redis.call("GET", KEYS[2]) or "0")
