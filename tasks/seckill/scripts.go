package seckill

import (
	"embed"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker"
)

// Every script works on the keys of one goods, which share a cluster slot, in this order (see keys):
//
//	KEYS[1] sale      hash total, starts_at, ends_at (ms since 1970), generation, left; an older program may have written a total of -1 for unknown goods
//	KEYS[2] admitted  hash user id -> task id: everyone who has an order or a reservation
//	KEYS[3] pending   hash task id -> "user id:due": the reservations among them; due (ms) is when reconcile looks at it
//	KEYS[4] load      string: the token of whoever is loading the sale
//
// A pending task is always its user's in admitted. left counts those who were removed from admitted while the sale was
// there (see soldOutVersion). The clock is Redis's own, one for all processes.
//
//go:embed lua
var files embed.FS

var (
	admitGate = broker.LoadGate(files, "lua/admit.lua")

	settleScript         = redisx.LoadScript(files, "lua/settle.lua")
	giveBackScript       = redisx.LoadScript(files, "lua/give_back.lua")
	acquireScript        = redisx.LoadScript(files, "lua/load_begin.lua")
	fillScript           = redisx.LoadScript(files, "lua/load_fill.lua")
	forgetScript         = redisx.LoadScript(files, "lua/forget.lua")
	countScript          = redisx.LoadScript(files, "lua/count.lua")
	postponeScript       = redisx.LoadScript(files, "lua/postpone.lua")
	pruneScript          = redisx.LoadScript(files, "lua/prune.lua")
	retireScript         = redisx.LoadScript(files, "lua/retire.lua")
	soldOutVersionScript = redisx.LoadScript(files, "lua/sold_out_version.lua")
)
