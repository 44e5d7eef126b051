package tasks

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// backoff is exponential with full jitter, after M. Brooker, "Exponential Backoff And Jitter" (2015): the wait before
// retry n (from 0) is uniform in [0, min(limit, base·2ⁿ)], or that bound itself when exact.
type backoff struct {
	base, limit time.Duration
	exact       bool
}

var standardBackoff = backoff{base: time.Second, limit: 10 * time.Minute}

func (b backoff) validate() error {
	switch {
	case b.base < 0 || b.base > MaxTimeout:
		return optionErrorf("backoff", "base %v is not between 0 and 7 days", b.base)
	case b.limit < b.base || b.limit > MaxTimeout:
		return optionErrorf("backoff", "cap %v is not between the base, %v, and 7 days", b.limit, b.base)
	}
	return nil
}

// delay is the wait before retry n, the first being 0.
func (b backoff) delay(n int) time.Duration {
	bound := b.limit
	if n < 62 && b.base < b.limit>>n {
		bound = b.base << n
	}
	if b.exact || bound <= 0 {
		return bound
	}
	return rand.N(bound + 1)
}

// String is the form in a task's headers, read back by parseBackoff.
func (b backoff) String() string {
	return fmt.Sprintf("%d,%d,%t", b.base.Milliseconds(), b.limit.Milliseconds(), b.exact)
}

func parseBackoff(s string) (backoff, error) {
	parts := strings.Split(s, ",")
	if len(parts) != 3 {
		return backoff{}, fmt.Errorf("backoff %q: want base,cap,exact", s)
	}
	base, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return backoff{}, fmt.Errorf("backoff %q: base: %w", s, err)
	}
	limit, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return backoff{}, fmt.Errorf("backoff %q: cap: %w", s, err)
	}
	exact, err := strconv.ParseBool(parts[2])
	if err != nil {
		return backoff{}, fmt.Errorf("backoff %q: exact: %w", s, err)
	}
	b := backoff{
		base:  time.Duration(base) * time.Millisecond,
		limit: time.Duration(limit) * time.Millisecond,
		exact: exact,
	}
	return b, b.validate()
}
