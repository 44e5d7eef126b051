-- Deletes a list.
--
-- KEYS[1] … KEYS[3] those of the list: see lua/lib/list.lua
--
-- Answers 1 if there was something, else 0.
--
--- @include lua/lib/list.lua

return redis.call('UNLINK', list, state_key) > 0 and 1 or 0
