-- times is how often a list has an id.
local function times(list, id)
	local places = redis.pcall('LPOS', list, id, 'COUNT', 0)
	if not places.err then return #places end
	local n = 0 -- a server without that command is a small one
	for _, one in ipairs(redis.call('LRANGE', list, 0, -1)) do
		if one == id then n = n + 1 end
	end
	return n
end
