package schedule

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/tasks"
)

// Schedule is a file of entries, checked against the catalog. It does not change once loaded.
type Schedule struct {
	entries []Entry // by name
	hash    string
	leftOut []string // rows of the table that this program can't read
}

// Entry is one entry, as it was read. It does not change.
type Entry struct {
	Name     string
	Task     tasks.Spec
	Args     json.RawMessage // canonical
	Queue    string
	Rule     Rule
	Location *time.Location
	Misfire  Misfire
	Paused   bool
	Options  EntryOptions

	Jitter       time.Duration // of Rule, which has it
	Overlap      Overlap
	OverlapLimit int   // of OverlapQueue
	MaxTicks     int64 // after which the entry has ended; 0 for none

	Origin
}

// Sources of entries.
const (
	SourceFile  = "file"
	SourceTable = "table"
)

// Origin says where an entry comes from, and what operators have changed of it.
type Origin struct {
	Source    string    // SourceFile or SourceTable
	Base      string    // of an entry of the file: identifies what the file says
	OwnPaused bool      // ... and whether it is paused there
	Override  *Override // ... and what an operator has changed; nil for nothing
	Shadows   bool      // ... and whether the table has an entry of this name, which rests
	By        string    // of an entry of the table: who changed it last
	Since     time.Time // when an operator changed it as it is now; zero when the file alone says how it is
}

// Override is what an operator has changed of an entry of the file.
type Override struct {
	Paused  *bool // nil: as the entry says
	Changed bool  // the entry itself
	By      string
	At      time.Time
}

// Entries are those of the schedule, by name. They must not be changed.
func (s *Schedule) Entries() []Entry { return s.entries }

// Hash identifies the schedule: of two with the same hash, all entries do the same.
func (s *Schedule) Hash() string { return s.hash }

// Durable reports whether one of the entries is.
func (s *Schedule) Durable() bool {
	return slices.ContainsFunc(s.entries, func(e Entry) bool { return e.Options.Durable })
}

// LeftOut are the names of rows of the table that this program can't read: entries, and overrides of which the pause alone is left.
func (s *Schedule) LeftOut() []string { return s.leftOut }

// Len is the number of entries, paused ones included.
func (s *Schedule) Len() int { return len(s.entries) }

// newSchedule sorts the entries and gives the schedule its hash, which covers what an entry does and leaves out how the
// file writes it. The hash is stored and logged: of what is encrypted elsewhere it is a digest with a key, if there is one.
func newSchedule(entries []Entry, digest func([]byte) []byte) *Schedule {
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	h, private := sha256.New(), false
	for _, e := range entries {
		fmt.Fprintf(h, "%q %q %q %q %q %q\n", e.Name, e.Task.Name(), e.Args, e.Queue, e.RuleID(), e.Misfire)
		if e.Options.canonical != nil {
			fmt.Fprintf(h, "%q\n", e.Options.canonical)
		}
		e.writeLimits(h)
		private = private || e.private()
	}
	return &Schedule{entries: entries, hash: shortSum(h.Sum(nil), private, digest)}
}

// writeLimits adds what an entry has beyond what every entry has, so that the hash of a schedule without stays as it was.
func (e Entry) writeLimits(h io.Writer) {
	if e.Overlap != OverlapAllow {
		fmt.Fprintf(h, "overlap %q %d\n", e.Overlap, e.OverlapLimit)
	}
	if e.MaxTicks > 0 {
		fmt.Fprintf(h, "max_ticks %d\n", e.MaxTicks)
	}
}

// private reports whether the entry holds what is encrypted elsewhere.
func (e Entry) private() bool { return e.Task.Encrypted() || e.Options.CallsBack }

// identity differs between any two entries that are not the same, whatever the schedules around them.
func (e Entry) identity(digest func([]byte) []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %q %q %q %v %q\n", e.Name, e.Task.Name(), e.Args, e.Queue, e.Rule.Identity(), e.Misfire, e.Location, e.Paused,
		e.Options.canonical)
	e.writeLimits(h)
	return shortSum(h.Sum(nil), e.private(), digest)
}

func shortSum(sum []byte, private bool, digest func([]byte) []byte) string {
	if private && digest != nil {
		if keyed := digest(sum); keyed != nil {
			sum = keyed
		}
	}
	return hex.EncodeToString(sum[:16])
}

// CountID changes when the ticks that count for MaxTicks begin anew. A pause does not change it.
func (e Entry) CountID() string { return e.Rule.Identity() }

// Find returns the entry of that name.
func (s *Schedule) Find(name string) (Entry, bool) {
	i := slices.IndexFunc(s.entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return s.entries[i], true
}

// RuleID changes with the ticks of the entry. Pausing counts as a change, so that an entry that is resumed starts with
// its next tick and the pause leaves no missed ones.
func (e Entry) RuleID() string {
	if e.Paused {
		return "paused"
	}
	if e.Overlap == OverlapQueue { // ticks wait only while the entry is so
		return e.Rule.Identity() + " queue"
	}
	return e.Rule.Identity()
}
