package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Config is one cache. Name, Key and Load are required; another zero field takes the default named beside it.
type Config[K ID, T any] struct {
	Name string            // in Change.Cache, metrics and the log; one of a kind in its Store
	Key  func(id K) string // where the value is in Redis; must differ from id to id and hold no braces
	// Load reads the values of ids, at least one and each once, from the database, outside any transaction of the
	// caller's. What it leaves out is null: not in the database.
	Load func(ctx context.Context, ids []K) (map[K]T, error)
	// Valid tells whether a value that Redis holds can be id's. JSON of another shape often decodes all the same, to a zero
	// value; one that is not valid counts as one that does not decode, and is replaced. Nil: all are valid.
	Valid func(id K, value T) bool
	// View is what Encoded shows of a value, to be encoded as JSON; nil is the value.
	View func(T) any

	Expiry, Jitter         time.Duration // a value is kept for Expiry to Expiry+Jitter; 10 min, and a tenth of Expiry
	NullExpiry, NullJitter time.Duration // likewise null; 5 min, and a fifth of NullExpiry
	Strategy               Strategy      // DeleteOnWrite
	Near                   int           // values kept in the process at most, null ones too; 0: as the Store has it, less than 0: none
	NearExpiry             time.Duration // and for how long; as the Store has it
	Stale                  time.Duration // for how long beyond its truth a value is served when the database fails; 0: not at all

	neverNull bool // Load leaves nothing out
}

// complete fills in the defaults. It panics on a Config that makes no sense.
func (cfg Config[K, T]) complete(s *Store) Config[K, T] {
	if cfg.Key == nil || cfg.Load == nil {
		panic(fmt.Sprintf("cache: %q needs a Key and a Load", cfg.Name))
	}
	for _, d := range []time.Duration{cfg.Expiry, cfg.Jitter, cfg.NullExpiry, cfg.NullJitter, cfg.NearExpiry, cfg.Stale} {
		if d < 0 || d > 0 && d < time.Millisecond {
			panic(fmt.Sprintf("cache: %q has a duration of %s; want a millisecond or more", cfg.Name, d))
		}
	}
	const expiry, nullExpiry = 10 * time.Minute, 5 * time.Minute
	cfg.Expiry = orElse(cfg.Expiry, expiry)
	cfg.Jitter = orElse(cfg.Jitter, cfg.Expiry/10)
	cfg.NullExpiry = orElse(cfg.NullExpiry, nullExpiry)
	cfg.NullJitter = orElse(cfg.NullJitter, cfg.NullExpiry/5)
	cfg.Near = orElse(cfg.Near, s.opt.Near)
	if s.opt.NoNear {
		cfg.Near = 0
	}
	cfg.NearExpiry = orElse(cfg.NearExpiry, s.opt.NearExpiry)
	return cfg
}

func orElse[N int | time.Duration](n, standard N) N {
	if n == 0 {
		return standard
	}
	return n
}

// expiry of a value that is stored now. Values that were loaded together do not expire together.
func (cfg *Config[K, T]) expiry(null bool) time.Duration {
	least, jitter := cfg.Expiry, cfg.Jitter
	if null {
		least, jitter = cfg.NullExpiry, cfg.NullJitter
	}
	return least + rand.N(jitter+1)
}
