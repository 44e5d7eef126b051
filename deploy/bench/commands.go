package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9/maintnotifications"
)

// commands is how many commands Redis has run since it started, the calls within scripts among them, this one not.
func (l *lab) commands(ctx context.Context) (int64, error) {
	info, err := l.admin.Info(ctx, "stats").Result()
	if err != nil {
		return 0, fmt.Errorf("ask Redis for its statistics: %w", err)
	}
	for line := range strings.Lines(info) {
		if text, ok := strings.CutPrefix(line, "total_commands_processed:"); ok {
			return strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		}
	}
	return 0, fmt.Errorf("Redis does not say total_commands_processed: %q", info)
}

// commandsDuring counts those that run while f does, but for what the lab itself asks.
func (l *lab) commandsDuring(ctx context.Context, f func() error) (int64, error) {
	before, err := l.commands(ctx)
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := l.commands(ctx)
	return after - before - 1, err // the first INFO itself
}

// plainConnection keeps a client from subscribing to what only managed servers send.
func plainConnection() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
