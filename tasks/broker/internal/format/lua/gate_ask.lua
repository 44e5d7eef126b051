-- Asks a gate alone. KEYS and ARGV are the gate's own.
--
-- Answers 1 if it is open and 0 if it is shut, and the gate's reply.

local args = ARGV
local gate -- the file defines it
do
	local ARGV = {}
--- @include gate
end
local open, reply = gate(args)
if reply == nil then reply = false end
return {open and 1 or 0, reply}
