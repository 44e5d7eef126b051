package sms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// knownAddressTTL is how long an address stays known after the last login by the number from it.
	knownAddressTTL = 30 * 24 * time.Hour
	// maxKnownAddresses is how many addresses of a number are known: the latest.
	maxKnownAddresses = 4
)

// knownAddressesKey is the sorted set of the addresses from which the number logged in, by the Unix time of the last login.
func knownAddressesKey(mobile string) string { return "paidui:sms:{" + mobile + "}:known" }

func (c *Codes) addKnownAddress(ctx context.Context, mobile string, from client) error {
	return addKnownAddressScript.Run(ctx, c.cache, []string{knownAddressesKey(mobile)},
		from.address, c.now().Unix(), maxKnownAddresses, int64(knownAddressTTL.Seconds())).Err()
}

// isKnownAddress tells whether the number logged in from there of late.
func (c *Codes) isKnownAddress(ctx context.Context, mobile string, from client) (bool, error) {
	last, err := c.cache.ZScore(ctx, knownAddressesKey(mobile), from.address).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("sms: looking the address up: %w", err)
	}
	return c.now().Sub(time.Unix(int64(last), 0)) < knownAddressTTL, nil
}
