package schedule

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
)

// Problem is one mistake in a file of schedules.
type Problem struct {
	Line  int    // from 1; 0 when it is the file as a whole
	Entry string // the entry's name; "" outside of entries, or when it has none
	Field string // the key at fault, or a path from it such as args.n; "" when it is none alone
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
	content, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Reader{Catalog: cat, Location: defaultTZ}.Read(path, content)
}

// ReadFile reads the content of a file of schedules.
func ReadFile(path string) ([]byte, error) {
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

// Reader reads schedules. Catalog is required.
type Reader struct {
	Catalog    *tasks.Catalog          // the tasks that entries may name
	QueueOf    func(tasks.Spec) string // where a task goes whose entry names no queue; nil is its definition's queue
	Digest     func([]byte) []byte     // Client.KeyedDigest, for hashes of what is encrypted; nil is none
	Location   *time.Location          // of entries and files that name none; nil is UTC
	NoDatabase bool                    // refuses durable entries
	Client     *tasks.Client           // whose keys encrypt what the table stores; nil encrypts nothing
}

// ReaderOf is the reader of a program: an entry without a queue goes where the client sends its task.
func ReaderOf(cat *tasks.Catalog, client *tasks.Client, location *time.Location) Reader {
	return Reader{Catalog: cat, QueueOf: client.QueueOf, Digest: client.KeyedDigest, Location: location, Client: client}
}

// Read reads the content of a file. Its error is a *LoadError.
func (r Reader) Read(path string, content []byte) (*Schedule, error) {
	l := r.loader()
	entries := l.file(bytes.TrimPrefix(content, []byte("\ufeff")), r.location())
	if len(l.problems) > 0 {
		return nil, l.failure(path)
	}
	for i := range entries {
		entries[i].Source, entries[i].OwnPaused = SourceFile, entries[i].Paused
		entries[i].Base = entries[i].identity(r.Digest)
	}
	return newSchedule(entries, r.Digest), nil
}

// ReadEntry reads one entry, as JSON or YAML. Its error is a *LoadError.
func (r Reader) ReadEntry(content []byte) (Entry, error) {
	l := r.loader()
	root := l.root(content)
	var e Entry
	if root != nil {
		e, _ = l.schedule(root, r.location())
	}
	if len(l.problems) > 0 {
		return Entry{}, l.failure("")
	}
	return e, nil
}

// ReadRule reads only when an entry ticks, from the fields that decide about it, as JSON or YAML. Its error is a *LoadError.
func (r Reader) ReadRule(content []byte) (Rule, *time.Location, error) {
	l := r.loader()
	var e Entry
	if root := l.root(content); root != nil {
		if f := l.fields(root, "a rule", "every", "cron", "at", "anchor", "timezone", "from", "until"); f != nil {
			e.Location = l.location(f, r.location())
			if e.Rule = l.rule(f, 1, e.Location); e.Rule != nil {
				e.Rule = l.bounds(f, &e)
			}
		}
	}
	if len(l.problems) > 0 {
		return nil, nil, l.failure("")
	}
	return e.Rule, e.Location, nil
}

func (r Reader) location() *time.Location {
	if r.Location == nil {
		return time.UTC
	}
	return r.Location
}

func (r Reader) loader() *loader {
	if r.QueueOf == nil {
		r.QueueOf = tasks.Spec.Queue
	}
	return &loader{cat: r.Catalog, queueOf: r.QueueOf, noDatabase: r.NoDatabase, names: map[string]int{}}
}

func (l *loader) failure(path string) *LoadError {
	slices.SortStableFunc(l.problems, func(a, b Problem) int { return a.Line - b.Line })
	return &LoadError{Path: path, Problems: l.problems}
}

// Problems lists what is wrong with a file, for one log line each.
func Problems(err error) []string {
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
