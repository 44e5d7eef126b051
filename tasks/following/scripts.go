package following

import (
	"embed"

	"github.com/paidui/paidui/models/redisx"
)

//go:embed lua
var files embed.FS

// The scripts on the keys of one list: see lua/lib/list.lua.
var (
	pageScript     = redisx.LoadScript(files, "lua/page.lua")
	acquireScript  = redisx.LoadScript(files, "lua/acquire.lua")
	putScript      = redisx.LoadScript(files, "lua/put.lua")
	fillScript     = redisx.LoadScript(files, "lua/fill.lua")
	releaseScript  = redisx.LoadScript(files, "lua/release.lua")
	takeOverScript = redisx.LoadScript(files, "lua/take_over.lua")
	applyScript    = redisx.LoadScript(files, "lua/apply.lua")
	peekScript     = redisx.LoadScript(files, "lua/peek.lua")
	dropScript     = redisx.LoadScript(files, "lua/drop.lua")
)
