-- final is StoredTask.Final.
local function final(state, revoked)
	return state == 'completed' or state == 'archived' or revoked and state ~= 'active'
end
