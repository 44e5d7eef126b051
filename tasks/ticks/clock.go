package ticks

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Tolerance is how far a scheduler's clock may be ahead of Redis's. A tick that is further ahead is refused: settled, it
// would settle for all schedulers those that come before it.
const Tolerance = 3 * time.Second

// Clock is the time by the clock that Begin and Pass go by, in microseconds: in a cluster, that of the node that keeps
// the schedules.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	reply, err := clockScript.Run(ctx, s.rdb, []string{keyCurrent}).Slice()
	if err != nil {
		return time.Time{}, fmt.Errorf("read Redis's clock: %w", err)
	}
	seconds, err := strconv.ParseInt(text(reply, 0), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read Redis's clock: %w", err)
	}
	micros, err := strconv.ParseInt(text(reply, 1), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read Redis's clock: %w", err)
	}
	return time.Unix(seconds, micros*1000).UTC(), nil
}
