package beat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/ticks"
)

// Schedule is a file of entries, checked against the catalog. It does not change once loaded.
type Schedule struct {
	entries []entry // by name
	hash    string
}

type entry struct {
	name    string
	task    tasks.Spec
	args    json.RawMessage // canonical
	queue   string
	rule    rule
	loc     *time.Location
	misfire Misfire
	paused  bool
	options entryOptions
}

// durable reports whether one of the entries is.
func (s *Schedule) durable() bool {
	return slices.ContainsFunc(s.entries, func(e entry) bool { return e.options.durable })
}

// Len is the number of entries, paused ones included.
func (s *Schedule) Len() int { return len(s.entries) }

// newSchedule sorts the entries and gives the schedule its hash, which covers what an entry does and leaves out how the
// file writes it. The hash is stored and logged: of what is encrypted elsewhere it is a digest with a key, if there is one.
func newSchedule(entries []entry, digest func([]byte) []byte) *Schedule {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	h, private := sha256.New(), false
	for _, e := range entries {
		fmt.Fprintf(h, "%q %q %q %q %q %q\n", e.name, e.task.Name(), e.args, e.queue, e.ruleID(), e.misfire)
		if e.options.canonical != nil {
			fmt.Fprintf(h, "%q\n", e.options.canonical)
		}
		private = private || e.task.Encrypted() || e.options.callsBack
	}
	sum := h.Sum(nil)
	if private && digest != nil {
		if keyed := digest(sum); keyed != nil {
			sum = keyed
		}
	}
	return &Schedule{entries: entries, hash: hex.EncodeToString(sum[:16])}
}

// plan is the schedule as other programs see it.
func (s *Schedule) plan(now time.Time) ticks.Plan {
	p := ticks.Plan{Hash: s.hash}
	for _, e := range s.entries {
		announced := ticks.Entry{
			Name: e.name, Task: e.task.Name(), Queue: e.queue, Spec: e.rule.String(),
			Timezone: e.loc.String(), Paused: e.paused, Rule: e.ruleID(),
		}
		if !e.paused {
			announced.Next = e.rule.next(now)
		}
		p.Entries = append(p.Entries, announced)
	}
	return p
}

func (s *Schedule) find(name string) (entry, bool) {
	i := slices.IndexFunc(s.entries, func(e entry) bool { return e.name == name })
	if i < 0 {
		return entry{}, false
	}
	return s.entries[i], true
}

// ruleID changes with the ticks of the entry. Pausing counts as a change, so that an entry that is resumed starts with
// its next tick and the pause leaves no missed ones.
func (e entry) ruleID() string {
	if e.paused {
		return "paused"
	}
	return e.rule.identity()
}
