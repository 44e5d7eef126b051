-- Wakes one worker.
--
-- KEYS[1] wake      the list that wakes workers
--
-- Answers 1.
--
--- @include lua/lib/ring.lua

local wake = KEYS[1]

ring(wake)
return 1
