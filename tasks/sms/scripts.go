package sms

import (
	"embed"

	"github.com/paidui/paidui/models/redisx"
)

//go:embed lua
var files embed.FS

var (
	saveCodeScript        = redisx.LoadScript(files, "lua/save_code.lua")
	forgetCodeScript      = redisx.LoadScript(files, "lua/forget_code.lua")
	consumeCodeScript     = redisx.LoadScript(files, "lua/consume_code.lua")
	takeGrantScript       = redisx.LoadScript(files, "lua/take_grant.lua")
	addKnownAddressScript = redisx.LoadScript(files, "lua/add_known_address.lua")
)
