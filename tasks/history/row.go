package history

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paidui/paidui/tasks"
)

// What a row holds at most, in bytes or, where the database counts them, characters.
const (
	maxJSON  = 1 << 20 // of arguments, and of a result
	maxError = 8 << 10
	maxName  = 64
	maxText  = 128
)

// row is a record as the table has it.
type row struct {
	id, task, queue, state             string
	version                            int64
	run, attempt, retries, maxRetries  int
	args, result, err, worker, request string
	build                              string    // version of the worker's program; the table of failures alone has it
	tags                               string    // with a space between them
	at                                 time.Time // when it was enqueued
	started, ended                     time.Time // zero: not known
	form                               form
}

// newRow is not ok for a record that is no task's.
func newRow(r tasks.Record, now time.Time) (row, bool) {
	version, ok := versionOf(r.Run, r.Attempt, r.State)
	if !ok || !tasks.ValidID(r.ID) {
		return row{}, false
	}
	return row{
		id:         r.ID,
		task:       cut(r.Task, maxName),
		queue:      cut(r.Queue, maxName),
		state:      string(r.State),
		version:    version,
		run:        max(r.Run, 1),
		attempt:    max(r.Attempt, 0),
		retries:    r.Retries,
		maxRetries: r.MaxRetries,
		args:       content(r.Args),
		result:     content(r.Result),
		err:        cutBytes(valid(r.Error), maxError),
		worker:     cut(r.Worker, maxText),
		request:    cut(r.RequestID, maxText),
		build:      cut(r.Version, maxName),
		tags:       strings.Join(usable(r.Tags), " "),
		at:         enqueuedAt(r, now),
		started:    storable(r.StartedAt),
		ended:      storable(r.EndedAt),
	}, true
}

// The version of a record says how far its task was: by run, then whether it has ended, then attempt, then state. A
// record with the same version or a higher one replaces what is told of the task's course.
const (
	runShift     = 32
	endedBit     = 1 << 30
	attemptShift = 3
	maxRun       = 1<<30 - 1
	maxAttempt   = 1<<26 - 1
)

func versionOf(run, attempt int, s tasks.State) (int64, bool) {
	var rank int64
	switch s {
	case tasks.StatePending:
	case tasks.StateStarted, tasks.StateProgress:
		rank = 1
	case tasks.StateRetry:
		rank = 2
	case tasks.StateLost: // whoever knows better is believed
		rank = 3
	case tasks.StateSuccess, tasks.StateFailure, tasks.StateRevoked:
		rank = endedBit
	default:
		return 0, false
	}
	run, attempt = min(max(run, 1), maxRun), min(max(attempt, 0), maxAttempt)
	return int64(run)<<runShift | int64(attempt)<<attemptShift | rank, true
}

// merge joins two rows of one id, as upsert does with the one that the table holds and the one that comes.
//
// With different times of enqueueing they are of two tasks that had the id one after the other: the later one stays.
// Otherwise the one with the higher version tells the course of the task, and of two equal ones the second. The worker
// and its start are those of the attempt that began last, and what is the same for the whole task comes from any row
// that has it. So the order in which the rows come makes no difference.
func merge(stored, coming row) row {
	if !coming.at.Equal(stored.at) {
		if coming.at.After(stored.at) {
			return coming
		}
		return stored
	}
	newer, older := coming, stored
	if coming.version < stored.version {
		newer, older = stored, coming
	}
	fill := func(value *string, other string) {
		if *value == "" {
			*value = other
		}
	}
	fill(&newer.args, older.args)
	fill(&newer.tags, older.tags)
	fill(&newer.request, older.request)
	if newer.version == older.version {
		fill(&newer.build, older.build)
	}
	newer.worker, newer.started = stored.worker, stored.started
	later := !coming.started.IsZero() && !stored.started.After(coming.started)
	if coming.worker != "" && (stored.worker == "" || stored.started.IsZero() || later) {
		newer.worker = coming.worker
	}
	if later {
		newer.started = coming.started
	}
	return newer
}

// known is what tells, without reading a row whole, what another would add to it.
type known struct {
	state                       string
	at, started                 time.Time
	version                     int64
	args, tags, request, worker bool // whether it has them
}

// adds tells whether merging r into the stored row could change that.
func (r *row) adds(stored known) bool {
	if !r.at.Equal(stored.at) {
		return r.at.After(stored.at)
	}
	return r.version >= stored.version || r.started.After(stored.started) ||
		r.args != "" && !stored.args || r.tags != "" && !stored.tags ||
		r.request != "" && !stored.request || r.worker != "" && !stored.worker
}

// hasEnded tells a row that no later one of its run changes from one that is soon out of date.
func (r *row) hasEnded() bool { return r.version&endedBit != 0 }

// size is about what the row takes in memory.
func (r *row) size() int {
	const fixed = 512 // with its places in the buffer
	return fixed + len(r.id) + len(r.args) + len(r.result) + len(r.err) + len(r.tags) + len(r.request)
}

// enqueuedAt falls back, for a task that another program enqueued, on the best that is known.
func enqueuedAt(r tasks.Record, now time.Time) time.Time {
	for _, t := range []time.Time{r.EnqueuedAt, r.StartedAt, r.EndedAt, now} {
		if t = storable(t); !t.IsZero() {
			return t.Truncate(time.Millisecond)
		}
	}
	return now.UTC().Truncate(time.Millisecond)
}

// storable is t in UTC, or zero when the database could not hold it.
func storable(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1970 || t.Year() > 9998 {
		return time.Time{}
	}
	return t.Truncate(time.Microsecond)
}

// content is JSON as it is kept.
func content(raw []byte) string {
	if len(raw) > maxJSON {
		return fmt.Sprintf(`"%d bytes, more than the history keeps"`, len(raw))
	}
	return valid(string(raw))
}

// usable leaves out tags that could not be found again.
func usable(tags []string) []string {
	if !slices.ContainsFunc(tags, unusable) {
		return tags
	}
	return slices.DeleteFunc(slices.Clone(tags), unusable)
}

func unusable(tag string) bool { return !tasks.ValidTag(tag) }

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// cut keeps the first n characters.
func cut(s string, n int) string {
	if len(s) > n || !utf8.ValidString(s) {
		if runes := []rune(valid(s)); len(runes) > n {
			return string(runes[:n])
		}
		return valid(s)
	}
	return s
}

// cutBytes keeps the first n bytes, or a little less so as not to cut a character.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
