package beat

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones are there without the system's files, as in an image from scratch

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/ticks"
)

// Problem is one mistake in a file of schedules.
type Problem struct {
	Line  int    // from 1; 0 when it is the file as a whole
	Entry string // the entry's name; "" outside of entries, or when it has none
	Msg   string
}

func (p Problem) String() string {
	var at, in string
	if p.Line > 0 {
		at = fmt.Sprintf("line %d: ", p.Line)
	}
	if p.Entry != "" {
		in = fmt.Sprintf("schedule %q: ", p.Entry)
	}
	return at + in + p.Msg
}

// LoadError is all that is wrong with a file of schedules, by line.
type LoadError struct {
	Path     string    // "" when there is no file
	Problems []Problem // at least one
}

func (e *LoadError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = cmp.Or(e.Path, "the schedules that the program brings") + ": " + p.String()
	}
	return strings.Join(lines, "\n")
}

// maxFileSize bounds what Load reads. A ConfigMap is at most as large.
const maxFileSize = 1 << 20

// Load reads a file of schedules. An entry without a queue goes to its definition's. Entries without a time zone of their own, in a file without one, use defaultTZ; nil is
// UTC. A file that cannot be read gives an error of package os, one with mistakes a *LoadError that lists all of them.
func Load(path string, cat *tasks.Catalog, defaultTZ *time.Location) (*Schedule, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, content, loader{cat: cat, queueOf: tasks.Spec.Queue}, defaultTZ)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", err)
	}
	if info.Size() > maxFileSize {
		return nil, &LoadError{Path: path, Problems: []Problem{{Msg: fmt.Sprintf("is larger than %d bytes", maxFileSize)}}}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", err)
	}
	return content, nil
}

// loadFor is Load as a scheduler does it: an entry without a queue goes where the client sends its task.
func loadFor(opt Options) (*Schedule, error) {
	content := opt.Content
	if opt.Path != "" {
		var err error
		if content, err = readFile(opt.Path); err != nil {
			return nil, err
		}
	}
	return parseFor(opt, content)
}

func parseFor(opt Options, content []byte) (*Schedule, error) {
	l := loader{cat: opt.Catalog, queueOf: opt.Client.QueueOf, digest: opt.Client.KeyedDigest, noDatabase: opt.Ledger == nil}
	return parse(opt.Path, content, l, opt.Location)
}

// NeedsDatabase reports whether an entry of the schedule, which must be right but for that, is durable. Options.Ledger need
// not be set yet.
func NeedsDatabase(opt Options) (bool, error) {
	opt.Ledger = new(ticks.Ledger)
	schedule, err := loadFor(opt)
	return err == nil && schedule.durable(), err
}

func parse(path string, content []byte, l loader, defaultTZ *time.Location) (*Schedule, error) {
	if defaultTZ == nil {
		defaultTZ = time.UTC
	}
	l.names = map[string]int{}
	entries := l.file(bytes.TrimPrefix(content, []byte("\ufeff")), defaultTZ)
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, &LoadError{Path: path, Problems: l.problems}
	}
	return newSchedule(entries, l.digest), nil
}

// problemsOf lists what is wrong with a file, for one log line each.
func problemsOf(err error) []string {
	var invalid *LoadError
	if !errors.As(err, &invalid) {
		return []string{err.Error()}
	}
	list := make([]string, len(invalid.Problems))
	for i, p := range invalid.Problems {
		list[i] = p.String()
	}
	return list
}
