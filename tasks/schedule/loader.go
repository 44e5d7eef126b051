package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
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

var entryKeys = append([]string{"name", "task", "args", "every", "cron", "timezone", "queue", "misfire", "paused"}, tasks.ScheduleOptions()...)

var entryName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (l *loader) problem(line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{Line: line, Entry: l.entry, Msg: fmt.Sprintf(format, args...)})
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
	e.Options = l.options(f, line, e)
	if e.Options.Durable && l.noDatabase {
		if given, ok := f["durable"]; ok {
			line = given.line
		}
		l.problem(line, "durable: needs the database, which a scheduler opens at its start and only for durable schedules: start it again")
	}
	return e, len(l.problems) == before
}

func (l *loader) name(f fields, line int) string {
	name, ok := l.text(f, "name")
	switch {
	case !ok:
		if _, there := f["name"]; !there {
			l.problem(line, "a schedule has no name")
		}
		return ""
	case !entryName.MatchString(name):
		l.problem(f["name"].line, "name: %q is not 1 to 64 letters, digits, '.', '_' or '-'", name)
		return ""
	case name == "." || name == "..":
		l.problem(f["name"].line, "name: %q can be no part of a URL's path", name)
		return ""
	}
	l.entry = name
	if first, taken := l.names[name]; taken {
		l.problem(f["name"].line, "the name is taken by the schedule in line %d", first)
		return name
	}
	l.names[name] = f["name"].line
	return name
}

func (l *loader) task(f fields, line int) tasks.Spec {
	name, ok := l.text(f, "task")
	if !ok {
		if _, there := f["task"]; !there {
			l.problem(line, "has no task")
		}
		return nil
	}
	spec, ok := l.cat.Lookup(name)
	if !ok {
		known := make([]string, 0, 8)
		for _, s := range l.cat.All() {
			known = append(known, s.Name())
		}
		l.problem(f["task"].line, "task: there is no %q, only %s", name, strings.Join(known, ", "))
		return nil
	}
	return spec
}

func (l *loader) rule(f fields, line int, loc *time.Location) Rule {
	every, hasEvery := f["every"]
	cron, hasCron := f["cron"]
	switch {
	case hasEvery && hasCron:
		l.problem(max(every.line, cron.line), "has both every and cron: give one of them")
	case hasEvery:
		return l.every(every)
	case hasCron:
		text, ok := l.text(f, "cron")
		if !ok {
			return nil
		}
		r, err := ParseCron(text, loc)
		if err != nil {
			l.problem(cron.line, "cron %q: %v", text, err)
			return nil
		}
		return r
	default:
		l.problem(line, "has neither every nor cron")
	}
	return nil
}

func (l *loader) every(f field) Rule {
	var period time.Duration
	switch node := f.value.(type) {
	case *ast.IntegerNode:
		seconds, err := strconv.ParseInt(fmt.Sprint(node.Value), 10, 64)
		if err != nil || seconds < 0 || seconds > int64(MaxEvery/time.Second) {
			l.problem(f.line, "every: %v seconds are not between 1s and 366 days", node.Value)
			return nil
		}
		period = time.Duration(seconds) * time.Second
	case *ast.StringNode:
		d, err := time.ParseDuration(node.Value)
		if err != nil {
			l.problem(f.line, "every: %q is not a duration such as 10s, 5m or 1h30m", node.Value)
			return nil
		}
		period = d
	default:
		l.problem(f.line, "every: want a duration such as 10s, or a whole number of seconds, found %s", plainyaml.Kind(f.value))
		return nil
	}
	r, err := ParseEvery(period)
	if err != nil {
		l.problem(f.line, "every: %v", err)
		return nil
	}
	return r
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
			l.problem(given.line, "args: %v", err)
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
		l.problem(plainyaml.LineAt(given.value, wrong.Field, line), "args of %s: %s: %s", spec.Name(), wrong.Field, wrong.Msg)
	case errors.As(err, &wrong):
		l.problem(line, "args of %s: %s", spec.Name(), wrong.Msg)
	default:
		l.problem(line, "args of %s: %v", spec.Name(), err)
	}
	return raw
}

func (l *loader) queue(f fields, spec tasks.Spec) string {
	name, ok := l.text(f, "queue")
	switch {
	case ok && !tasks.ValidQueue(name):
		l.problem(f["queue"].line, "queue: %q is not 1 to 64 letters, digits, '_' or '-', the first a letter or digit", name)
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
	l.problem(f["misfire"].line, "misfire: %q is not skip, once or all", text)
	return ""
}

func (l *loader) paused(f fields) bool {
	given, ok := f["paused"]
	if !ok {
		return false
	}
	node, ok := given.value.(*ast.BoolNode)
	if !ok {
		l.problem(given.line, "paused: want true or false, found %s", plainyaml.Kind(given.value))
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
		l.problem(f["timezone"].line, "timezone: %q is not a time zone such as Asia/Shanghai or UTC", name)
		return otherwise
	}
	return loc
}
