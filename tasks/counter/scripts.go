package counter

import (
	"embed"

	"github.com/paidui/paidui/models/redisx"
)

//go:embed lua
var files embed.FS

// The scripts on the counts of one kind: see lua/lib/kind.lua.
var (
	applyScript  = redisx.LoadScript(files, "lua/apply.lua")
	beginScript  = redisx.LoadScript(files, "lua/begin.lua")
	finishScript = redisx.LoadScript(files, "lua/finish.lua")
	openScript   = redisx.LoadScript(files, "lua/open.lua")
	repairScript = redisx.LoadScript(files, "lua/repair.lua")
	closeScript  = redisx.LoadScript(files, "lua/close.lua")
	removeScript = redisx.LoadScript(files, "lua/remove.lua")
	countScript  = redisx.LoadScript(files, "lua/count.lua")
	topScript    = redisx.LoadScript(files, "lua/top.lua")
)

// keyCount is how many keys a kind has. Behind them come sets of marks, as a script needs them.
const keyCount = 7

// The scripts on the cached counts of one user.
var (
	getOrLeaseScript = redisx.LoadScript(files, "lua/get_or_lease.lua")
	fillScript       = redisx.LoadScript(files, "lua/fill.lua")
)
