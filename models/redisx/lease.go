package redisx

import (
	"crypto/rand"
	"embed"
)

//go:embed lua
var scripts embed.FS

// A lease is a key that holds the token of whoever may store something, and expires. Scripts take and check one with the
// functions of lua/lease.lua.
var (
	// ReleaseLease gives a lease up. KEYS: the lease; ARGV: token. It answers 1, or 0 when the token does not hold it.
	ReleaseLease = LoadScript(scripts, "lua/release_lease.lua")
	// ExtendLease lets a lease live on. KEYS: the lease; ARGV: token, life from now on in ms. It answers 1, or 0 when the
	// token does not hold it.
	ExtendLease = LoadScript(scripts, "lua/extend_lease.lua")
)

// NewLeaseToken is unique. A lease is asked for with a new token each time: a command that comes late, or twice, cannot
// pass for a later one.
func NewLeaseToken() string { return rand.Text() }
