package schedule

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/tasks"
)

// Schedule is a file of entries, checked against the catalog. It does not change once loaded.
type Schedule struct {
	entries []Entry // by name
	hash    string
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
}

// Entries are those of the schedule, by name. They must not be changed.
func (s *Schedule) Entries() []Entry { return s.entries }

// Hash identifies the schedule: of two with the same hash, all entries do the same.
func (s *Schedule) Hash() string { return s.hash }

// Durable reports whether one of the entries is.
func (s *Schedule) Durable() bool {
	return slices.ContainsFunc(s.entries, func(e Entry) bool { return e.Options.Durable })
}

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
		private = private || e.Task.Encrypted() || e.Options.CallsBack
	}
	sum := h.Sum(nil)
	if private && digest != nil {
		if keyed := digest(sum); keyed != nil {
			sum = keyed
		}
	}
	return &Schedule{entries: entries, hash: hex.EncodeToString(sum[:16])}
}

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
	return e.Rule.Identity()
}
