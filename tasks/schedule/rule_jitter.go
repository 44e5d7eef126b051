package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// jitterRule moves each tick of another rule by whole seconds, up to the jitter. How far is a function of the entry's name and
// the tick, so that all schedulers agree. A tick never reaches the one after it, nor the end of the entry.
type jitterRule struct {
	Rule
	name   string
	jitter time.Duration
	until  time.Time // zero for none
}

func (r jitterRule) Next(after time.Time) time.Time {
	for tick := r.Rule.Next(after.Add(-r.jitter - time.Second)); !tick.IsZero(); tick = r.Rule.Next(tick) {
		if moved := tick.Add(r.offset(tick)); moved.After(after) {
			return moved
		}
	}
	return time.Time{}
}

func (r jitterRule) offset(tick time.Time) time.Duration {
	most := r.jitter
	if next := r.Rule.Next(tick); !next.IsZero() {
		most = min(most, next.Sub(tick)-time.Second)
	}
	if !r.until.IsZero() {
		most = min(most, r.until.Sub(tick))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s@%d", r.name, tick.Unix()))
	return time.Duration(binary.BigEndian.Uint64(sum[:])%uint64(most/time.Second+1)) * time.Second
}

func (r jitterRule) String() string { return r.Rule.String() + ", jitter " + shortDuration(r.jitter) }
func (r jitterRule) Identity() string {
	return r.Rule.Identity() + " jitter " + shortDuration(r.jitter)
}

// jitterSample is how many ticks are looked at for the shortest time between two of them.
const jitterSample = 500

// checkJitter refuses a jitter that is not below the time between any two ticks.
func checkJitter(r Rule, jitter time.Duration) error {
	if jitter < time.Second || jitter > MaxEvery || jitter%time.Second != 0 {
		return errors.New("want whole seconds, 1s at least, and less than the time between two ticks")
	}
	tick := r.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	for range jitterSample {
		next := r.Next(tick)
		if next.IsZero() {
			return nil
		}
		if next.Sub(tick) <= jitter {
			return fmt.Errorf("%s is not below the time between two ticks, which is %s from %s on", shortDuration(jitter),
				shortDuration(next.Sub(tick)), tick.UTC().Format(time.RFC3339))
		}
		tick = next
	}
	return nil
}
