package cache

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
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
func answered(c *redisx.Call) bool { return c.Cmd != nil && !away(c.Cmd.Err()) }
