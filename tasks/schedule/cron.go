package schedule

import (
	"errors"
	"strings"
	"time"
)

const (
	everyHour = 1<<24 - 1

	// searchDays bounds the search for the next tick. The rarest rule is a 29 February on one weekday across a
	// century without a leap day: 40 years.
	searchDays = 45 * 366
)

// cronRule is a cron expression in a time zone.
type cronRule struct {
	text                           string
	minute, hour, dom, month, dow  uint64 // bit sets
	domWild, dowWild, everyHourRun bool
	loc                            *time.Location
}

// ParseCron makes the rule of a cron expression in a time zone.
func ParseCron(text string, loc *time.Location) (Rule, error) {
	r, err := parseCron(text, loc)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func parseCron(text string, loc *time.Location) (*cronRule, error) {
	text = strings.Join(strings.Fields(text), " ")
	fields, err := splitCron(text)
	if err != nil {
		return nil, err
	}
	r := &cronRule{text: text, loc: loc, domWild: isWild(fields[2]), dowWild: isWild(fields[4])}
	for i, set := range []*uint64{&r.minute, &r.hour, &r.dom, &r.month, &r.dow} {
		if *set, err = cronFields[i].parse(fields[i]); err != nil {
			return nil, err
		}
	}
	r.everyHourRun = r.hour == everyHour
	if r.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, errors.New("never runs: no such date exists")
	}
	return r, nil
}

// isWild reports whether a field of days leaves the choice to the other one.
func isWild(field string) bool { return field[0] == '*' || field[0] == '?' }

func (r *cronRule) Next(after time.Time) time.Time {
	local := after.In(r.loc)
	day := civilDate{local.Year(), local.Month(), local.Day()}
	from := local.Hour()*60 + local.Minute() + 1
	for range searchDays {
		if r.matchesDay(day) {
			if tick := r.nextOn(day, from, after); !tick.IsZero() {
				return tick
			}
		}
		day, from = day.Next(), 0
	}
	return time.Time{}
}

// nextOn returns the day's first tick after the given instant. Local times before the minute from are known to have
// had their tick.
func (r *cronRule) nextOn(day civilDate, from int, after time.Time) time.Time {
	if r.everyHourRun {
		return r.nextByRealTime(day, after)
	}
	for minute := from; minute < 24*60; minute++ {
		if r.hour&(1<<(minute/60)) == 0 {
			minute += 59 - minute%60
			continue
		}
		if r.minute&(1<<(minute%60)) == 0 {
			continue
		}
		if tick := day.instant(minute, r.loc); tick.After(after) {
			return tick
		}
	}
	return time.Time{}
}

// nextByRealTime walks the instants of the day, rather than its local times.
func (r *cronRule) nextByRealTime(day civilDate, after time.Time) time.Time {
	t := day.instant(0, r.loc)
	if !t.After(after) {
		t = after.Truncate(time.Second).In(r.loc)
		t = t.Add(time.Duration(60-t.Second()) * time.Second)
	}
	for day.contains(t) {
		if t.Second() != 0 { // the zone's offset changed by a part of a minute
			t = t.Add(time.Duration(60-t.Second()) * time.Second)
			continue
		}
		if r.minute&(1<<t.Minute()) != 0 {
			return t
		}
		t = t.Add(time.Minute)
	}
	return time.Time{}
}

func (r *cronRule) matchesDay(day civilDate) bool {
	if r.month&(1<<day.month) == 0 {
		return false
	}
	inMonth := r.dom&(1<<day.day) != 0
	inWeek := r.dow&(1<<day.weekday()) != 0
	if r.domWild || r.dowWild {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

func (r *cronRule) String() string   { return r.text }
func (r *cronRule) Identity() string { return "cron " + r.text + " " + r.loc.String() }
