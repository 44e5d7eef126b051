package ticks

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Claim is a tick that is being enqueued.
type Claim struct {
	Entry  string
	Tick   time.Time
	TaskID string
	Queue  string
	Age    time.Duration // since the first Begin of the tick, in whole seconds by Redis's clock
}

// ClaimAnswer is the answer to Begin and Pass.
type ClaimAnswer string

const (
	Go         ClaimAnswer = "go"         // enqueue under the claim's TaskID and Queue, then Settle
	Settled    ClaimAnswer = "settled"    // nothing is left to do up to the tick
	InDoubt    ClaimAnswer = "in_doubt"   // the claim is an older one: see it through first
	Superseded ClaimAnswer = "superseded" // another schedule is in force, or the entry has another rule: stop
	Early      ClaimAnswer = "early"      // the tick is more than Tolerance after Redis's clock: ask again when it is not
	Exhausted  ClaimAnswer = "exhausted"  // the entry has had all of its ticks
	Changed    ClaimAnswer = "changed"    // the entry's last tasks are others than Last says, or an earlier tick waits: look again
)

// Last are the last tasks of an entry: those that a tick must not overlap.
type Last struct {
	Task   string // of a tick; "" for none
	Manual string // of a run by hand; "" for none
	Waits  []time.Time
}

// Terms are what Begin asks for beyond the claim.
type Terms struct {
	MaxTicks int64 // 0 for no maximum
	After    *Last // these must be the entry's last tasks still, or the answer is Changed; nil asks for nothing
}

// Begin claims a tick of an entry of the schedule in force. The claim in the answer is the one in Redis, which may be
// another scheduler's; it is set with Go and InDoubt.
func (s *Store) Begin(ctx context.Context, schedule, rule string, c Claim) (ClaimAnswer, Claim, error) {
	return s.BeginOn(ctx, schedule, rule, c, Terms{})
}

// BeginOn is Begin on terms.
func (s *Store) BeginOn(ctx context.Context, schedule, rule string, c Claim, terms Terms) (ClaimAnswer, Claim, error) {
	var after Last
	if terms.After != nil {
		after = *terms.After
	}
	reply, err := claimScript.Run(ctx, s.rdb, []string{keyCurrent, keyState + c.Entry, keyWaiting + c.Entry},
		toleranceSeconds, schedule, rule, unix(c.Tick), c.TaskID, c.Queue, terms.MaxTicks, terms.After != nil, after.Task, after.Manual).Slice()
	if err != nil {
		return "", Claim{}, fmt.Errorf("claim tick: %w", err)
	}
	return answerFrom(c.Entry, reply)
}

// Passed says why ticks are not enqueued.
type Passed struct {
	Why      string // for the log; "" leaves them out of it
	Ticks    int    // how many; 0 counts as 1
	MaxTicks int64  // 0 for no maximum: of an entry that has had all of its ticks none is passed over
	Room     int    // how many ticks may wait: then this one does, and of more the oldest is passed over; 0 for none
}

// Pass settles all ticks up to the given one without enqueueing them. next is the tick after it, zero for none.
func (s *Store) Pass(ctx context.Context, schedule, rule, entry string, tick, next time.Time) (ClaimAnswer, Claim, error) {
	return s.PassOver(ctx, schedule, rule, entry, tick, next, Passed{})
}

// PassOver is Pass with a reason.
func (s *Store) PassOver(ctx context.Context, schedule, rule, entry string, tick, next time.Time, p Passed) (ClaimAnswer, Claim, error) {
	keys := []string{keyCurrent, keyState + entry, keyLog + entry, keyWaiting + entry}
	reply, err := skipScript.Run(ctx, s.rdb, keys, toleranceSeconds, schedule, rule, unix(tick), unix(next), p.Why, max(p.Ticks, 1), p.Room, p.MaxTicks).Slice()
	if err != nil {
		return "", Claim{}, fmt.Errorf("pass over ticks: %w", err)
	}
	return answerFrom(entry, reply)
}

// Settle closes the claim of a tick. taskID is the task that the tick became, "" when it became none. next is the
// tick after it, zero for none. first is false when another scheduler has settled it already.
func (s *Store) Settle(ctx context.Context, entry string, tick time.Time, taskID string, next time.Time) (first bool, err error) {
	keys := []string{keyState + entry, keyLog + entry, keyWaiting + entry}
	n, err := settleScript.Run(ctx, s.rdb, keys, unix(tick), taskID, unix(next)).Int()
	if err != nil {
		return false, fmt.Errorf("settle tick: %w", err)
	}
	return n == 1, nil
}

// LastOf reads the last tasks of an entry, and the ticks that wait, the oldest first.
func (s *Store) LastOf(ctx context.Context, entry string) (Last, error) {
	pipe := s.rdb.Pipeline()
	ids, waiting := pipe.HMGet(ctx, keyState+entry, "task_id", "manual_id"), pipe.LRange(ctx, keyWaiting+entry, 0, -1)
	if _, err := pipe.Exec(ctx); err != nil {
		return Last{}, fmt.Errorf("read the last tasks of schedule %s: %w", entry, err)
	}
	l := Last{Task: text(ids.Val(), 0), Manual: text(ids.Val(), 1)}
	for _, seconds := range waiting.Val() {
		if t := optionalTime(seconds); t != nil {
			l.Waits = append(l.Waits, *t)
		}
	}
	return l, nil
}

// LastSettled is the tick up to which the entry is settled; zero when the entry is unknown.
func (s *Store) LastSettled(ctx context.Context, entry string) (time.Time, error) {
	seconds, err := lastSettledScript.Run(ctx, s.rdb, []string{keyState + entry}, toleranceSeconds).Int64()
	switch {
	case err == redis.Nil:
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("read settled ticks: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func answerFrom(entry string, reply []any) (ClaimAnswer, Claim, error) {
	answer := ClaimAnswer(text(reply, 0))
	if len(reply) == 1 {
		return answer, Claim{}, nil
	}
	return answer, claimFrom(append([]any{entry}, reply[1:]...)), nil
}

// claimFrom reads entry, tick, task id, queue and age.
func claimFrom(fields []any) Claim {
	c := Claim{Entry: text(fields, 0), TaskID: text(fields, 2), Queue: text(fields, 3)}
	if t := optionalTime(text(fields, 1)); t != nil {
		c.Tick = *t
	}
	if age, err := strconv.ParseInt(text(fields, 4), 10, 64); err == nil {
		c.Age = time.Duration(age) * time.Second
	}
	return c
}

func text(reply []any, i int) string {
	if i >= len(reply) {
		return ""
	}
	s, _ := reply[i].(string)
	return s
}

func items(reply []any, i int) []any {
	if i >= len(reply) {
		return nil
	}
	list, _ := reply[i].([]any)
	return list
}
