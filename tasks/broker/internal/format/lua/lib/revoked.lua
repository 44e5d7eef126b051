-- is_revoked tells whether the result of a completed task is that of a revoked one.
local function is_revoked(result)
	return string.sub(result or '', 1, 9) == '!REVOKED '
end
