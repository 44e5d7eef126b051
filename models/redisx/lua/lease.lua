-- A lease is a key that holds the token of whoever may store something, and expires. Whoever lets a lease go, or takes it
-- from another, thereby refuses what its holder has not stored yet.

-- holds_lease tells whether the token holds the lease.
local function holds_lease(lease, token)
	return redis.call('GET', lease) == token
end

-- acquire_lease takes the lease for life milliseconds, unless another token holds it, and tells whether the token holds it
-- now. A key of another type, and one that does not end as a lease does, are nobody's lease and are replaced.
local function acquire_lease(lease, token, life)
	if redis.call('SET', lease, token, 'NX', 'PX', life) then return true end
	local holder, left = redis.pcall('GET', lease), redis.call('PTTL', lease)
	if holder == token then return true end
	if type(holder) == 'string' and left >= 0 and left <= tonumber(life) then return false end
	redis.call('SET', lease, token, 'PX', life)
	return true
end
