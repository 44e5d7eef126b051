package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/paidui/paidui/deploy/testenv"
)

// slowness is how late bytes are on a slow network, each way.
const slowness = 150 * time.Millisecond

// disturb breaks the network between programs and a store, and mends it when the fault's time is over.
func (s *saboteur) disturb(ctx context.Context, f fault) error {
	ways := s.ways(f.target)
	if len(ways) == 0 {
		return fmt.Errorf("there is no way %q", f.target)
	}
	each := func(do func(*testenv.Proxy)) {
		for _, way := range ways {
			do(way)
		}
	}
	switch f.kind {
	case faultCut:
		each((*testenv.Proxy).Reset)
	case faultAway:
		each(func(p *testenv.Proxy) { p.Away(true) })
		pause(ctx, f.length)
		each(func(p *testenv.Proxy) { p.Away(false) })
	case faultSilent:
		each(func(p *testenv.Proxy) { p.Stall(true) })
		pause(ctx, f.length)
		each(func(p *testenv.Proxy) { p.Stall(false) })
	case faultSlow:
		each(func(p *testenv.Proxy) { p.Slow(slowness) })
		pause(ctx, f.length)
		each(func(p *testenv.Proxy) { p.Slow(0) })
	default:
		return fmt.Errorf("there is no fault %q", f.kind)
	}
	return nil
}

// ways are the proxies of a target such as worker1-mysql or all-redis.
func (s *saboteur) ways(target string) (ways []*testenv.Proxy) {
	who, store, _ := strings.Cut(target, "-")
	for _, p := range s.lab.programs {
		switch {
		case who != "all" && who != p.name:
		case store == "redis":
			ways = append(ways, p.redis)
		case store == "mysql":
			ways = append(ways, p.mysql)
		}
	}
	return ways
}

// heal undoes whatever may be left of an act's faults.
func (s *saboteur) heal(ctx context.Context) error {
	for _, p := range s.lab.programs {
		p.signal(syscall.SIGCONT, 0)
		for _, way := range []*testenv.Proxy{p.redis, p.mysql} {
			way.Away(false)
			way.Stall(false)
			way.Slow(0)
		}
	}
	if err := s.lab.redis.StartAgain(); err != nil {
		return fmt.Errorf("heal Redis: %w", err)
	}
	if err := s.lab.mysql.StartAgain(); err != nil {
		return fmt.Errorf("heal MySQL: %w", err)
	}
	if err := s.lab.broker.ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
		return fmt.Errorf("heal Redis: %w", err)
	}
	return nil
}
