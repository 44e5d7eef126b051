package cache

import "sync/atomic"

// counts is what a cache has seen since its process began.
type counts struct {
	hits, nullHits, misses atomic.Int64 // reads of one value; nullHits are not among the hits
	fills, refused         atomic.Int64 // of values
	degraded               atomic.Int64 // values served without their Redis, or beyond their truth
	loads, failedLoads     atomic.Int64 // calls of Load
}

func (c *counts) hit(null bool) {
	if null {
		c.nullHits.Add(1)
		return
	}
	c.hits.Add(1)
}
