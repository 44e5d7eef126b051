-- Reads the clock of the node that has a key.
-- KEYS[1] the key
-- Answers seconds and microseconds.
return redis.call('TIME')
