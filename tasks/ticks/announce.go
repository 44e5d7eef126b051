package ticks

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
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

	// What builds before do not tell. Source is "" then.
	Source       string     `json:"source,omitempty"`     // file or table
	Base         string     `json:"base,omitempty"`       // of an entry of the file: identifies what the file says
	OwnPaused    bool       `json:"own_paused,omitempty"` // ... and whether it is paused there
	Override     *Override  `json:"override,omitempty"`   // ... and what an operator has changed
	Shadows      bool       `json:"shadows,omitempty"`    // ... and whether the table has an entry of its name, which rests
	By           string     `json:"by,omitempty"`         // of an entry of the table: who changed it last
	At           *time.Time `json:"at,omitempty"`         // ... and when
	Misfire      string     `json:"misfire,omitempty"`
	Overlap      string     `json:"overlap,omitempty"`
	OverlapLimit int        `json:"overlap_limit,omitempty"`
	MaxTicks     int64      `json:"max_ticks,omitempty"`
	Durable      bool       `json:"durable,omitempty"`

	// Rule identifies what decides about ticks. When it changes, the entry starts anew from the time of the
	// announcement, so that a change of the rule makes no ticks in the past.
	Rule string `json:"-"`
	// Next is the entry's next tick, for List; zero when there is none.
	Next time.Time `json:"-"`
	// Known is up to when the scheduler knows the ticks of this rule to be settled; zero when it knows nothing. It counts
	// when Redis has lost what was settled, so that the ticks since then are not lost with it.
	Known time.Time `json:"-"`
	// Since is when an operator made the entry as it is, or zero. An entry that starts anew then starts from there, so that the
	// ticks before a scheduler learned of it are not lost. It must not be longer ago than the tasks of ticks since then are
	// retained: what was known of the entry may be lost, and their ids alone keep the ticks from being enqueued again.
	Since time.Time `json:"-"`
	// CountOf identifies what Count counts for MaxTicks; "" without a maximum. Another one begins at 0.
	CountOf string `json:"-"`
	// Count is how many ticks the scheduler knows to be enqueued. It counts when Redis has lost the number.
	Count int64 `json:"-"`
}

// Override is what an operator has changed of an entry of the file.
type Override struct {
	Paused  *bool     `json:"paused"`  // null: as the entry says
	Changed bool      `json:"changed"` // the entry itself
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// MaxSince bounds how long ago Entry.Since is.
const MaxSince = 7 * 24 * time.Hour

// TableIs is what a plan knows of the table of schedules.
type TableIs string

const (
	NoTable      TableIs = "none"    // the scheduler has no database
	TableUnknown TableIs = "unknown" // its database has not answered yet
	TableRead    TableIs = "read"
)

// Plan is a whole schedule. Two plans with the same Hash are the same schedule.
type Plan struct {
	Hash    string
	Entries []Entry
	Secret  []byte // in force where Redis has none; nil draws one

	File     string   // the hash of the file alone; "" is Hash
	Table    TableIs  // "" is NoTable
	Revision int64    // of the table, when it is read
	LeftOut  []string // rows of the table that the scheduler can't read: see below
	SameFile bool     // the file was announced before: then the plan yields to another file that was heard within Silence
}

// What a plan leaves out keeps its state, and the plan yields to another one of its revision that was heard within Silence. So
// schedulers of two builds, of which one lacks a task, do not take turns.

func (p *Plan) file() string { return cmp.Or(p.File, p.Hash) }

func (p *Plan) table() TableIs { return cmp.Or(p.Table, NoTable) }

// Announcement is the answer to Announce. Exactly one of its cases holds: InForce; or Open is not empty: nothing was
// changed, and these claims must be settled first, because their entry's rule changes; or Outdated is set: the schedule in
// force has this later revision of the table, which the plan must have first; or none: another schedule is in force, and the
// plan yields to it.
type Announcement struct {
	InForce  bool
	Open     []Claim
	Outdated int64
	Settled  map[string]time.Time // by entry, when InForce
	Secret   []byte               // the same for all schedulers of this Redis, when InForce
}

// Announce puts the plan in force. A new entry, or one whose rule changed, is settled up to now, so that it starts with
// the next tick; a now that is more than Tolerance after Redis's clock is brought back to that, and so is what a wrong
// clock has settled in the future. When Redis has lost which schedule was in force, and all that was settled, entries are
// settled up to what the plan knows instead, also when a now that is behind comes before that. With takeover, the plan yields
// to another schedule that was heard within Silence. A plan with a table that was changed comes before one without.
func (s *Store) Announce(ctx context.Context, plan Plan, now time.Time, takeover bool) (Announcement, error) {
	secret := plan.Secret
	if len(secret) == 0 {
		secret = []byte(rand.Text())
	}
	args := []any{toleranceSeconds, keyState, plan.Hash, takeover, unix(now), int(Silence / time.Second), secret,
		plan.file(), string(plan.table()), plan.Revision, plan.SameFile, keyLog, keyWaiting, keyGone, int(MaxSince / time.Second),
		strings.Join(plan.LeftOut, " ")}
	for _, e := range plan.Entries {
		encoded, err := json.Marshal(e)
		if err != nil {
			return Announcement{}, fmt.Errorf("announce schedule: entry %s: %w", e.Name, err)
		}
		args = append(args, e.Name, e.Rule, encoded, unix(e.Next), unix(e.Known), unix(e.Since), e.CountOf, e.Count)
	}
	reply, err := announceScript.Run(ctx, s.rdb, []string{keyCurrent, keyEntries}, args...).Slice()
	if err != nil {
		return Announcement{}, fmt.Errorf("announce schedule: %w", err)
	}
	var a Announcement
	switch reply[0] {
	case "outdated":
		a.Outdated, _ = reply[1].(int64)
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
	return s.Present(ctx, Plan{Hash: hash})
}

// Present is Heartbeat of a plan, of which it needs all but the entries. A schedule of a file alone makes way for one with a table that was changed:
// then the answer is Vacant.
func (s *Store) Present(ctx context.Context, plan Plan) (Presence, error) {
	reply, err := heartbeatScript.Run(ctx, s.rdb, []string{keyCurrent}, plan.Hash, int(Silence/time.Second),
		plan.table() == TableRead && plan.Revision > 0).Text()
	if err != nil {
		return "", fmt.Errorf("schedule heartbeat: %w", err)
	}
	return Presence(reply), nil
}
