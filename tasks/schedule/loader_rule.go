package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/paidui/paidui/models/plainyaml"
)

// rule reads when an entry ticks, of which there is one of three forms.
func (l *loader) rule(f fields, line int, loc *time.Location) Rule {
	var forms []string
	for _, key := range []string{"every", "cron", "at"} {
		if given, ok := f[key]; ok {
			forms, line = append(forms, key), max(line, given.line)
		}
	}
	if _, ok := f["anchor"]; ok && !slices.Contains(forms, "every") {
		l.problemOf("anchor", f["anchor"].line, "anchor: is for every alone")
	}
	switch {
	case len(forms) == 0:
		l.problemOf("cron", line, "has neither every nor cron nor at")
		return nil
	case len(forms) > 1:
		l.problemOf(forms[1], line, "has %s: give one of every, cron and at", strings.Join(forms, " and "))
		return nil
	case forms[0] == "every":
		return l.every(f, loc)
	case forms[0] == "at":
		at, ok := l.time(f, "at", loc)
		if !ok {
			return nil
		}
		return onceRule{at, loc}
	}
	text, ok := l.text(f, "cron")
	if !ok {
		return nil
	}
	r, err := ParseCron(text, loc)
	if err != nil {
		l.problemOf("cron", f["cron"].line, "cron %q: %v", text, err)
		return nil
	}
	return r
}

func (l *loader) every(f fields, loc *time.Location) Rule {
	given := f["every"]
	period, ok := l.duration(given, "every")
	if !ok {
		return nil
	}
	r, err := ParseEvery(period)
	if err != nil {
		l.problemOf("every", given.line, "every: %v", err)
		return nil
	}
	anchor, ok := l.text(f, "anchor")
	switch {
	case !ok, anchor == "utc":
		return r
	case anchor != "local":
		l.problemOf("anchor", f["anchor"].line, "anchor: %q is not utc or local", anchor)
		return nil
	case period >= day || day%period != 0:
		l.problemOf("anchor", f["anchor"].line, "anchor: local needs a period that divides a day, such as 15m or 6h, which %s does not", shortDuration(period))
		return nil
	}
	return localRule{period, loc}
}

// duration reads a duration or a whole number of seconds.
func (l *loader) duration(f field, key string) (d time.Duration, ok bool) {
	switch node := f.value.(type) {
	case *ast.IntegerNode:
		seconds, err := strconv.ParseInt(fmt.Sprint(node.Value), 10, 64)
		if err != nil || seconds < 0 || seconds > int64(MaxEvery/time.Second) {
			l.problemOf(key, f.line, "%s: %v seconds are not between 1s and 366 days", key, node.Value)
			return 0, false
		}
		return time.Duration(seconds) * time.Second, true
	case *ast.StringNode:
		d, err := time.ParseDuration(node.Value)
		if err != nil {
			l.problemOf(key, f.line, "%s: %q is not a duration such as 10s, 5m or 1h30m", key, node.Value)
			return 0, false
		}
		return d, true
	}
	l.problemOf(key, f.line, "%s: want a duration such as 10s, or a whole number of seconds, found %s", key, plainyaml.Kind(f.value))
	return 0, false
}

// bounds reads what limits the ticks of a rule.
func (l *loader) bounds(f fields, e *Entry) Rule {
	_, single := e.Rule.(onceRule)
	if single {
		for _, key := range []string{"from", "until", "jitter", "max_ticks"} {
			if given, ok := f[key]; ok {
				l.problemOf(key, given.line, "%s: is not for an entry with at, which ticks once", key)
			}
		}
		return e.Rule
	}
	from, fromOK := l.time(f, "from", e.Location)
	until, untilOK := l.time(f, "until", e.Location)
	rule := e.Rule
	if fromOK || untilOK {
		rule = boundedRule{Rule: rule, from: from, until: until}
		switch {
		case fromOK && untilOK && until.Before(from):
			l.problemOf("until", f["until"].line, "until: is before from")
			return rule
		case rule.Next(earliestTime.Add(-time.Second)).IsZero():
			key := "until"
			if !untilOK {
				key = "from"
			}
			l.problemOf(key, f[key].line, "%s: the entry never ticks within these bounds", key)
			return rule
		}
	}
	given, ok := f["jitter"]
	if !ok {
		return rule
	}
	jitter, ok := l.duration(given, "jitter")
	if !ok {
		return rule
	}
	if err := checkJitter(rule, jitter); err != nil {
		l.problemOf("jitter", given.line, "jitter: %v", err)
		return rule
	}
	e.Jitter = jitter
	return jitterRule{rule, e.Name, jitter, until}
}

func (l *loader) time(f fields, key string, loc *time.Location) (t time.Time, ok bool) {
	text, ok := l.text(f, key)
	if !ok {
		return time.Time{}, false
	}
	if t, ok = parseTime(text, loc); !ok {
		l.problemOf(key, f[key].line, "%s: %q is not a time from 1970 to 2199 such as 2026-12-31T08:00:00 or 2026-12-31T08:00:00+08:00", key, text)
	}
	return t, ok
}

func (l *loader) overlap(f fields) (Overlap, int) {
	overlap := OverlapAllow
	if text, ok := l.text(f, "overlap"); ok {
		overlap = Overlap(text)
	}
	limit, has := f["overlap_limit"]
	switch overlap {
	case OverlapAllow, OverlapSkip:
		if has {
			l.problemOf("overlap_limit", limit.line, "overlap_limit: is for overlap: queue alone")
		}
		return overlap, 0
	case OverlapQueue:
		if !has {
			l.problemOf("overlap_limit", f["overlap"].line, "overlap_limit: overlap: queue needs it, 1 to %d: how many ticks may wait", MaxOverlapLimit)
			return overlap, 0
		}
		return overlap, int(l.number(limit, "overlap_limit", MaxOverlapLimit))
	}
	l.problemOf("overlap", f["overlap"].line, "overlap: %q is not allow, skip or queue", overlap)
	return overlap, 0
}

func (l *loader) maxTicks(f fields) int64 {
	given, ok := f["max_ticks"]
	if !ok {
		return 0
	}
	return l.number(given, "max_ticks", MaxMaxTicks)
}

func (l *loader) number(f field, key string, most int64) int64 {
	node, ok := f.value.(*ast.IntegerNode)
	if !ok {
		l.problemOf(key, f.line, "%s: want a number, found %s", key, plainyaml.Kind(f.value))
		return 0
	}
	n, err := strconv.ParseInt(fmt.Sprint(node.Value), 10, 64)
	if err != nil || n < 1 || n > most {
		l.problemOf(key, f.line, "%s: %v is not between 1 and %d", key, node.Value, most)
		return 0
	}
	return n
}
