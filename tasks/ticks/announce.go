package ticks

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"
)

// Silence is how long nobody with the schedule in force has been heard before one who stands by takes over.
const Silence = time.Minute

// Entry is one entry of a schedule, as a scheduler announces it.
type Entry struct {
	Name     string `json:"-"`
	Task     string `json:"task"`
	Queue    string `json:"queue"`
	Spec     string `json:"spec"`
	Timezone string `json:"timezone"`
	Paused   bool   `json:"paused"`

	// Rule identifies what decides about ticks. When it changes, the entry starts anew from the time of the
	// announcement, so that a change of the rule makes no ticks in the past.
	Rule string `json:"-"`
	// Next is the entry's next tick, for List; zero when there is none.
	Next time.Time `json:"-"`
	// Known is up to when the scheduler knows the ticks of this rule to be settled; zero when it knows nothing. It counts
	// when Redis has lost what was settled, so that the ticks since then are not lost with it.
	Known time.Time `json:"-"`
}

// Plan is a whole schedule. Two plans with the same Hash are the same schedule.
type Plan struct {
	Hash    string
	Entries []Entry
	Secret  []byte // in force where Redis has none; nil draws one
}

// Announcement is the answer to Announce. Exactly one of its cases holds: InForce; or Open is not empty: nothing was
// changed, and these claims must be settled first, because their entry's rule changes; or neither: a taking over came
// too late, another schedule is in force.
type Announcement struct {
	InForce bool
	Open    []Claim
	Settled map[string]time.Time // by entry, when InForce
	Secret  []byte               // the same for all schedulers of this Redis, when InForce
}

// Announce puts the plan in force. A new entry, or one whose rule changed, is settled up to now, so that it starts with
// the next tick; a now that is more than Tolerance after Redis's clock is brought back to that, and so is what a wrong
// clock has settled in the future. When Redis has lost which schedule was in force, and all that was settled, entries are
// settled up to what the plan knows instead, also when a now that is behind comes before that. With takeover, the plan yields
// to another schedule that was heard within Silence.
func (s *Store) Announce(ctx context.Context, plan Plan, now time.Time, takeover bool) (Announcement, error) {
	secret := plan.Secret
	if len(secret) == 0 {
		secret = []byte(rand.Text())
	}
	args := []any{toleranceSeconds, keyState, plan.Hash, takeover, unix(now), int(Silence / time.Second), secret}
	for _, e := range plan.Entries {
		encoded, err := json.Marshal(e)
		if err != nil {
			return Announcement{}, fmt.Errorf("announce schedule: entry %s: %w", e.Name, err)
		}
		args = append(args, e.Name, e.Rule, encoded, unix(e.Next), unix(e.Known))
	}
	reply, err := announceScript.Run(ctx, s.rdb, []string{keyCurrent, keyEntries}, args...).Slice()
	if err != nil {
		return Announcement{}, fmt.Errorf("announce schedule: %w", err)
	}
	var a Announcement
	switch reply[0] {
	case "open":
		for _, item := range items(reply, 1) {
			fields, _ := item.([]any)
			a.Open = append(a.Open, claimFrom(fields))
		}
	case "in_force":
		a.InForce = true
		a.Settled = make(map[string]time.Time, len(plan.Entries))
		for i, item := range items(reply, 1) {
			if t := optionalTime(item); t != nil {
				a.Settled[plan.Entries[i].Name] = *t
			}
		}
		a.Secret = []byte(text(reply, 2))
	}
	return a, nil
}

// Presence is the answer to Heartbeat.
type Presence string

const (
	InForce Presence = "in_force" // this schedule is the one in force
	StandBy Presence = "standby"  // another is
	Vacant  Presence = "vacant"   // none is, or nobody with it has been heard for Silence: announce, with takeover
)

// Heartbeat says that a scheduler with this schedule is alive, and asks for its schedule's standing. It is due several
// times within Silence.
func (s *Store) Heartbeat(ctx context.Context, hash string) (Presence, error) {
	reply, err := heartbeatScript.Run(ctx, s.rdb, []string{keyCurrent}, hash, int(Silence/time.Second)).Text()
	if err != nil {
		return "", fmt.Errorf("schedule heartbeat: %w", err)
	}
	return Presence(reply), nil
}
