package sms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// knownFor is how long an address stays known after the last login by the number from it.
	knownFor = 30 * 24 * time.Hour
	// mostKnown is how many addresses of a number are known: the latest.
	mostKnown = 4
)

// knownKey is the sorted set of the addresses from which the number logged in, by the Unix time of the last login.
func knownKey(mobile string) string { return "paidui:sms:{" + mobile + "}:known" }

func (c *Codes) know(ctx context.Context, mobile string, from client) error {
	return knowAddressScript.Run(ctx, c.cache, []string{knownKey(mobile)},
		from.own, c.now().Unix(), mostKnown, int64(knownFor.Seconds())).Err()
}

// knows tells whether the number logged in from there of late.
func (c *Codes) knows(ctx context.Context, mobile string, from client) (bool, error) {
	last, err := c.cache.ZScore(ctx, knownKey(mobile), from.own).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("sms: looking the address up: %w", err)
	}
	return c.now().Sub(time.Unix(int64(last), 0)) < knownFor, nil
}
