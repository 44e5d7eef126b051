package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/paidui/paidui/models/plainyaml"
	"github.com/paidui/paidui/tasks"
)

// loader turns the YAML tree of a file into entries, and gathers every problem on its way.
type loader struct {
	cat        *tasks.Catalog
	queueOf    func(tasks.Spec) string // where a task goes whose entry names no queue
	noDatabase bool                    // so that no entry may be durable
	names      map[string]int          // an entry's name -> the line where it is
	entry      string                  // the one being read, for problems
	problems   []Problem
}

var entryKeys = append([]string{"name", "task", "args", "every", "cron", "timezone", "queue", "misfire", "paused"}, append(tasks.ScheduleOptions(), "at", "anchor", "from", "until", "jitter", "max_ticks", "overlap", "overlap_limit")...)

var entryName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (l *loader) problem(line int, format string, args ...any) {
	l.problemOf("", line, format, args...)
}

// problemOf is a problem with a field of an entry.
func (l *loader) problemOf(field string, line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{Line: line, Entry: l.entry, Field: field, Msg: fmt.Sprintf(format, args...)})
}

func (l *loader) file(content []byte, defaultTZ *time.Location) []Entry {
	root := l.root(content)
	if root == nil {
		return nil
	}
	top := l.fields(root, "the file", "timezone", "schedules")
	if top == nil {
		return nil
	}
	loc := l.location(top, defaultTZ)
	list, ok := top["schedules"]
	if !ok {
		l.problem(0, `has no "schedules"`)
		return nil
	}
	items, ok := list.value.(*ast.SequenceNode)
	if !ok {
		l.problem(list.line, "schedules: want a list, found %s", plainyaml.Kind(list.value))
		return nil
	}
	var entries []Entry
	for _, item := range items.Values {
		if e, ok := l.schedule(item, loc); ok {
			entries = append(entries, e)
		}
	}
	return entries
}

// schedule reads one entry; ok is false when anything about it is wrong.
func (l *loader) schedule(node ast.Node, fileTZ *time.Location) (e Entry, ok bool) {
	before := len(l.problems)
	line := plainyaml.Line(node)
	f := l.fields(node, "a schedule", entryKeys...)
	if f == nil {
		return Entry{}, false
	}
	defer func() { l.entry = "" }()
	e.Name = l.name(f, line)
	for i := before; i < len(l.problems); i++ { // those of its keys
		l.problems[i].Entry = l.entry
	}
	e.Location = l.location(f, fileTZ)
	e.Rule = l.rule(f, line, e.Location)
	e.Task = l.task(f, line)
	e.Args = l.args(f, line, e.Task)
	e.Queue = l.queue(f, e.Task)
	e.Misfire = l.misfire(f)
	e.Paused = l.paused(f)
	e.Overlap, e.OverlapLimit = l.overlap(f)
	e.MaxTicks = l.maxTicks(f)
	if e.Rule != nil {
		e.Rule = l.bounds(f, &e)
	}
	e.Options = l.options(f, line, e)
	if e.Options.Durable && l.noDatabase {
		if given, ok := f["durable"]; ok {
			line = given.line
		}
		l.problemOf("durable", line, "durable: needs the database, which a scheduler opens at its start and only for durable schedules: start it again")
	}
	return e, len(l.problems) == before
}

func (l *loader) name(f fields, line int) string {
	name, ok := l.text(f, "name")
	switch {
	case !ok:
		if _, there := f["name"]; !there {
			l.problemOf("name", line, "a schedule has no name")
		}
		return ""
	case !entryName.MatchString(name):
		l.problemOf("name", f["name"].line, "name: %q is not 1 to 64 letters, digits, '.', '_' or '-'", name)
		return ""
	case name == "." || name == "..":
		l.problemOf("name", f["name"].line, "name: %q can be no part of a URL's path", name)
		return ""
	}
	l.entry = name
	if first, taken := l.names[name]; taken {
		l.problemOf("name", f["name"].line, "the name is taken by the schedule in line %d", first)
		return name
	}
	l.names[name] = f["name"].line
	return name
}

func (l *loader) task(f fields, line int) tasks.Spec {
	name, ok := l.text(f, "task")
	if !ok {
		if _, there := f["task"]; !there {
			l.problemOf("task", line, "has no task")
		}
		return nil
	}
	spec, ok := l.cat.Lookup(name)
	if !ok {
		known := make([]string, 0, 8)
		for _, s := range l.cat.All() {
			known = append(known, s.Name())
		}
		l.problemOf("task", f["task"].line, "task: there is no %q, only %s", name, strings.Join(known, ", "))
		return nil
	}
	return spec
}

func (l *loader) args(f fields, line int, spec tasks.Spec) json.RawMessage {
	raw := json.RawMessage("{}")
	given, ok := f["args"]
	if ok && given.value.Type() != ast.NullType {
		value, good := l.value(given.value, "args")
		if !good {
			return nil
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			l.problemOf("args", given.line, "args: %v", err)
			return nil
		}
		raw, line = encoded, given.line
	}
	if spec == nil {
		return raw
	}
	err := spec.CheckArgs(raw)
	var wrong *tasks.ArgsError
	switch {
	case err == nil:
	case errors.As(err, &wrong) && wrong.Field != "":
		l.problemOf("args."+wrong.Field, plainyaml.LineAt(given.value, wrong.Field, line), "args of %s: %s: %s", spec.Name(), wrong.Field, wrong.Msg)
	case errors.As(err, &wrong):
		l.problemOf("args", line, "args of %s: %s", spec.Name(), wrong.Msg)
	default:
		l.problemOf("args", line, "args of %s: %v", spec.Name(), err)
	}
	return raw
}

func (l *loader) queue(f fields, spec tasks.Spec) string {
	name, ok := l.text(f, "queue")
	switch {
	case ok && !tasks.ValidQueue(name):
		l.problemOf("queue", f["queue"].line, "queue: %q is not 1 to 64 letters, digits, '_' or '-', the first a letter or digit", name)
	case !ok && spec != nil:
		return l.queueOf(spec)
	}
	return name
}

func (l *loader) misfire(f fields) Misfire {
	text, ok := l.text(f, "misfire")
	if !ok {
		return MisfireOnce
	}
	switch m := Misfire(text); m {
	case MisfireSkip, MisfireOnce, MisfireAll:
		return m
	}
	l.problemOf("misfire", f["misfire"].line, "misfire: %q is not skip, once or all", text)
	return ""
}

func (l *loader) paused(f fields) bool {
	given, ok := f["paused"]
	if !ok {
		return false
	}
	node, ok := given.value.(*ast.BoolNode)
	if !ok {
		l.problemOf("paused", given.line, "paused: want true or false, found %s", plainyaml.Kind(given.value))
		return false
	}
	return node.Value
}

func (l *loader) location(f fields, otherwise *time.Location) *time.Location {
	name, ok := l.text(f, "timezone")
	if !ok {
		return otherwise
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		l.problemOf("timezone", f["timezone"].line, "timezone: %q is not a time zone such as Asia/Shanghai or UTC", name)
		return otherwise
	}
	return loc
}
