package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9/maintnotifications"
)

// info asks Redis for one field of a section of its INFO.
func (l *lab) info(ctx context.Context, section, field string) (string, error) {
	text, err := l.admin.Info(ctx, section).Result()
	if err != nil {
		return "", fmt.Errorf("ask Redis about itself: %w", err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("there is no %s in what Redis tells of itself: %q", field, text)
}

// commands is how many commands Redis has run since it started, the calls within scripts among them, this one not.
func (l *lab) commands(ctx context.Context) (int64, error) {
	text, err := l.info(ctx, "stats", "total_commands_processed")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
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
