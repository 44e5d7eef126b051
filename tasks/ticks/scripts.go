package ticks

import (
	"embed"
	"time"

	"github.com/paidui/paidui/models/redisx"
)

//go:embed lua
var files embed.FS

var (
	announceScript    = redisx.LoadScript(files, "lua/announce.lua")
	heartbeatScript   = redisx.LoadScript(files, "lua/heartbeat.lua")
	claimScript       = redisx.LoadScript(files, "lua/claim.lua")
	skipScript        = redisx.LoadScript(files, "lua/skip.lua")
	settleScript      = redisx.LoadScript(files, "lua/settle.lua")
	lastSettledScript = redisx.LoadScript(files, "lua/last_settled.lua")
	requestScript     = redisx.LoadScript(files, "lua/run_request.lua")
	takeScript        = redisx.LoadScript(files, "lua/run_begin.lua")
	answerScript      = redisx.LoadScript(files, "lua/run_settle.lua")
	withdrawScript    = redisx.LoadScript(files, "lua/run_withdraw.lua")
	clockScript       = redisx.LoadScript(files, "lua/clock.lua")
)

// toleranceSeconds is Tolerance as the scripts take it.
const toleranceSeconds = int(Tolerance / time.Second)
