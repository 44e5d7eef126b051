package cache

import (
	"context"
	"embed"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
)

//go:embed lua
var files embed.FS

// Every script works on the keys of one value, which share a cluster slot; see entry.keys.
var (
	getOrLeaseScript = redisx.LoadScript(files, "lua/get_or_lease.lua")
	takeOverScript   = redisx.LoadScript(files, "lua/take_over.lua")
	fillScript       = redisx.LoadScript(files, "lua/fill.lua")
	invalidateScript = redisx.LoadScript(files, "lua/invalidate.lua")
)

// runScripts runs the scripts on the primary, in one round trip to each node that has some of the keys. It fails when
// Redis does; what a script answered otherwise, an error included, is in its Cmd.
func (s *Store) runScripts(ctx context.Context, calls []*redisx.Call) error {
	return s.onPrimary(ctx, func(ctx context.Context, rdb redis.UniversalClient) error {
		redisx.RunScripts(ctx, rdb, calls)
		for _, c := range calls {
			if !answered(c) {
				return c.Cmd.Err()
			}
		}
		return nil
	})
}

// answered reports whether Redis answered the call, be it with an error.
func answered(c *redisx.Call) bool { return c.Cmd != nil && !unreachable(c.Cmd.Err()) }
