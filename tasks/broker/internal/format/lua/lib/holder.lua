-- holder names the life that a task's owner and pending_since say to have it. A worker that is not ours, as plain asynq,
-- leaves the owner of the delivery before and takes pending_since away.
local function holder(owner, since)
	return owner and since and string.match(owner, '^(.*)%.[^.]*$')
end
