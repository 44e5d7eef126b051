package beat

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/netresearch/go-cron"
)

const (
	everyHour = 1<<24 - 1

	// searchDays bounds the search for the next tick. The rarest rule is a 29 February on one weekday across a
	// century without a leap day: 40 years.
	searchDays = 45 * 366
)

var (
	cronFields   = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	cronElements = regexp.MustCompile(`^([*?]|[0-9A-Za-z]+(-[0-9A-Za-z]+)?)(/[0-9]+)?$`)
)

// cronRule is a cron expression in a time zone. The library parses the fields; which instants they stand for is
// decided here, because the library runs the local times that exist twice twice, and those in a gap of other than
// one hour not at all.
type cronRule struct {
	text                           string
	minute, hour, dom, month, dow  uint64 // bit sets
	domWild, dowWild, everyHourRun bool
	loc                            *time.Location
}

func parseCron(text string, loc *time.Location) (*cronRule, error) {
	text = strings.Join(strings.Fields(text), " ")
	fields, err := checkCronText(text)
	if err != nil {
		return nil, err
	}
	parsed, err := cronFields.Parse(text)
	if err != nil {
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q is not a rule of five fields", text)
	}
	r := &cronRule{
		text: text, loc: loc,
		minute: spec.Minute, hour: spec.Hour, dom: spec.Dom, month: spec.Month, dow: spec.Dow,
		everyHourRun: spec.Hour&everyHour == everyHour,
	}
	if fields != nil {
		r.domWild = strings.ContainsAny(fields[2][:1], "*?")
		r.dowWild = strings.ContainsAny(fields[4][:1], "*?")
	} else {
		r.domWild, r.dowWild = true, true
	}
	if r.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, errors.New("never runs: no such date exists")
	}
	return r, nil
}

// checkCronText refuses what the library lets pass in silence. It returns no fields for a descriptor.
func checkCronText(text string) ([]string, error) {
	switch {
	case text == "":
		return nil, errors.New("is empty")
	case strings.HasPrefix(text, "@every"):
		return nil, errors.New(`takes no "@every": use "every" instead of "cron"`)
	case strings.HasPrefix(text, "TZ="), strings.HasPrefix(text, "CRON_TZ="):
		return nil, errors.New(`takes no time zone: use "timezone" beside "cron"`)
	case text[0] == '@':
		return nil, nil
	}
	fields := strings.Fields(text)
	if len(fields) != 5 {
		return nil, fmt.Errorf("has %d fields, not the five of minute, hour, day of month, month, day of week", len(fields))
	}
	for i, field := range fields {
		for element := range strings.SplitSeq(field, ",") {
			if !cronElements.MatchString(element) {
				return nil, fmt.Errorf("%q is not a number, name, range or step in %q", element, field)
			}
			if i == 4 && wrapsWithStep(element) {
				return nil, fmt.Errorf("a range around the end of the week takes no step: %q", element)
			}
		}
	}
	return fields, nil
}

// wrapsWithStep finds elements such as "fri-mon/2", where the library counts Sunday, being 0 and 7, twice.
func wrapsWithStep(element string) bool {
	days, step, found := strings.Cut(element, "/")
	if !found || step == "1" || !strings.Contains(days, "-") {
		return false
	}
	from, to, _ := strings.Cut(days, "-")
	return weekday(from) > weekday(to)
}

func weekday(name string) int {
	if i := strings.Index("sunmontuewedthufrisat", strings.ToLower(name)); i >= 0 && len(name) == 3 {
		return i / 3
	}
	var day int
	if _, err := fmt.Sscanf(name, "%d", &day); err != nil {
		return -1
	}
	return day
}

func (r *cronRule) next(after time.Time) time.Time {
	local := after.In(r.loc)
	day := civilDate{local.Year(), local.Month(), local.Day()}
	from := local.Hour()*60 + local.Minute() + 1
	for range searchDays {
		if r.matchesDay(day) {
			if tick := r.nextOn(day, from, after); !tick.IsZero() {
				return tick
			}
		}
		day, from = day.next(), 0
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
func (r *cronRule) identity() string { return "cron " + r.text + " " + r.loc.String() }
