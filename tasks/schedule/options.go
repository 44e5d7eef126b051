package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/paidui/paidui/models/plainyaml"
	"github.com/paidui/paidui/tasks"
)

// EntryOptions are what an entry says about how its task is enqueued and run.
type EntryOptions struct {
	List      []tasks.Option
	Retention time.Duration   // at least; 0 when the entry does not say
	Durable   bool            // its task goes into the database's outbox
	CallsBack bool            // it has callbacks
	canonical json.RawMessage // nil without options
}

// options reads the options of an entry whose other fields, those of e, are read already.
func (l *loader) options(f fields, line int, e Entry) (o EntryOptions) {
	o.Durable = isDurable(e.Task)
	given, sound := l.optionValues(f)
	if !sound {
		return EntryOptions{}
	}
	if len(given) == 0 {
		l.tryOptions(f, line, e, nil)
		return o
	}
	raw, err := json.Marshal(given)
	if err != nil {
		l.problem(line, "options: %v", err)
		return EntryOptions{}
	}
	decoded, err := tasks.DecodeOptions(raw)
	if err == nil {
		err = checkForTicks("", &decoded)
	}
	if err == nil {
		o.List, err = decoded.List(l.cat)
	}
	if err != nil {
		l.optionProblem(f, line, err)
		return EntryOptions{}
	}
	o.CallsBack = len(decoded.OnSuccess)+len(decoded.OnFailure) > 0
	if decoded.Durable != nil {
		o.Durable = *decoded.Durable
	}
	if decoded.Retention != nil {
		o.Retention = time.Duration(*decoded.Retention)
	}
	if o.canonical, err = json.Marshal(decoded); err != nil {
		l.problem(line, "options: %v", err)
	}
	l.tryOptions(f, line, e, o.List)
	return o
}

// isDurable reports whether the task's definition is.
func isDurable(task tasks.Spec) bool {
	if task == nil {
		return false
	}
	standard := task.Options().Durable
	return standard != nil && *standard
}

// optionValues are the entry's options as they stand in the file. They are not sound when one is no value.
func (l *loader) optionValues(f fields) (given map[string]any, sound bool) {
	given, sound = map[string]any{}, true
	for _, key := range tasks.ScheduleOptions() {
		option, ok := f[key]
		if !ok || option.value.Type() == ast.NullType { // reported by fields
			continue
		}
		value, good := l.value(option.value, key)
		given[key], sound = value, sound && good
	}
	return given, sound
}

// checkForTicks refuses what could serve one tick only.
func checkForTicks(prefix string, o *tasks.Options) error {
	if o.Expires != nil && !o.Expires.At.IsZero() {
		return &tasks.OptionError{Field: prefix + "expires", Msg: "want a duration such as 10m: a time passes once for all ticks"}
	}
	for field, calls := range map[string][]tasks.Call{"on_success": o.OnSuccess, "on_failure": o.OnFailure} {
		for i := range calls {
			callback := &calls[i].Options
			at := fmt.Sprintf("%s%s[%d].", prefix, field, i)
			if callback.ID != nil {
				return &tasks.OptionError{Field: at + "id", Msg: "would be the same for every tick: leave it out to have one made"}
			}
			if callback.ETA != nil {
				return &tasks.OptionError{Field: at + "eta", Msg: "a time passes once for all ticks: give a countdown"}
			}
			if err := checkForTicks(at, callback); err != nil {
				return err
			}
		}
	}
	return nil
}

// tryOptions makes a tick's call, to see whether the options are in range and suit the task's own. Wrong arguments are
// reported elsewhere.
func (l *loader) tryOptions(f fields, line int, e Entry, list []tasks.Option) {
	if e.Task == nil || e.Args == nil {
		return
	}
	tick := append(list[:len(list):len(list)], tasks.ID("tick"))
	call, err := e.Task.SignatureJSON(e.Args, tick...)
	if err != nil {
		return
	}
	if err := call.Validate(); err != nil {
		l.optionProblem(f, line, err)
	}
}

// optionProblem reports an option at the line where it stands, or at otherwise when it is the task's own.
func (l *loader) optionProblem(f fields, otherwise int, err error) {
	var wrong *tasks.OptionError
	if !errors.As(err, &wrong) {
		l.problem(otherwise, "options: %v", err)
		return
	}
	key, _ := plainyaml.CutPath(wrong.Field)
	line := otherwise
	if given, ok := f[key]; ok {
		line = plainyaml.LineAt(given.value, strings.TrimPrefix(wrong.Field, key), given.line)
	}
	l.problemOf(wrong.Field, line, "%s: %s", wrong.Field, wrong.Msg)
}
