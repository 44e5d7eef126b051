package schedule

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Words says in Chinese and in English when a rule ticks. Another rule than those of this package is its own text.
func Words(r Rule) (zh, en string) {
	switch r := r.(type) {
	case jitterRule:
		zh, en = Words(r.Rule)
		d := shortDuration(r.jitter)
		return zh + "，每次随机推迟至多 " + d, en + ", each up to " + d + " later"
	case boundedRule:
		zh, en = Words(r.Rule)
		for _, bound := range []struct {
			at     time.Time
			zh, en string
		}{{r.from, "，从 %s 起", ", from %s on"}, {r.until, "，到 %s 为止", ", until %s"}} {
			if !bound.at.IsZero() {
				at := bound.at.In(locationOf(r.Rule)).Format(time.RFC3339)
				zh, en = zh+fmt.Sprintf(bound.zh, at), en+fmt.Sprintf(bound.en, at)
			}
		}
		return zh, en
	case onceRule:
		at := r.at.In(r.loc).Format("2006-01-02 15:04:05")
		return fmt.Sprintf("只在 %s（%s）一次", at, r.loc), fmt.Sprintf("once, at %s (%s)", at, r.loc)
	case everyRule:
		zh, en = durationWords(time.Duration(r))
		return "每 " + zh + "一次", "every " + en
	case localRule:
		zh, en = durationWords(r.period)
		return fmt.Sprintf("从当地零点起每 %s一次（%s）", zh, r.loc), fmt.Sprintf("every %s from local midnight on (%s)", en, r.loc)
	case *cronRule:
		return r.words()
	}
	return r.String(), r.String()
}

func locationOf(r Rule) *time.Location {
	switch r := r.(type) {
	case *cronRule:
		return r.loc
	case localRule:
		return r.loc
	}
	return time.UTC
}

func durationWords(d time.Duration) (zh, en string) {
	var zhParts, enParts []string
	for _, unit := range []struct {
		size   time.Duration
		zh, en string
	}{{day, "天", "day"}, {time.Hour, "小时", "hour"}, {time.Minute, "分钟", "minute"}, {time.Second, "秒", "second"}} {
		n := d / unit.size
		d %= unit.size
		if n == 0 {
			continue
		}
		plural := "s"
		if n == 1 {
			plural = ""
		}
		zhParts, enParts = append(zhParts, fmt.Sprintf("%d %s", n, unit.zh)), append(enParts, fmt.Sprintf("%d %s%s", n, unit.en, plural))
	}
	return strings.Join(zhParts, " "), strings.Join(enParts, " ")
}

// namedTimes is how many times of a day are named one by one.
const namedTimes = 6

const everyMinute = 1<<60 - 1

func (r *cronRule) words() (zh, en string) {
	minutes, hours := valuesOf(r.minute), valuesOf(r.hour)
	switch {
	case r.hour != everyHour && len(minutes)*len(hours) <= namedTimes:
		var times []string
		for _, h := range hours {
			for _, m := range minutes {
				times = append(times, fmt.Sprintf("%02d:%02d", h, m))
			}
		}
		zh, en = strings.Join(times, "、"), "at "+strings.Join(times, ", ")
	default:
		zh, en = r.minuteWords(minutes)
		if r.hour != everyHour {
			span := spans(hours, func(v int) string { return fmt.Sprint(v) })
			zh, en = span+" 点之内，"+zh, en+", in the hours "+span
		}
	}
	dayZH, dayEN := r.dayWords()
	return strings.TrimSpace(dayZH + zh + "（" + r.loc.String() + "）"), en + dayEN + " (" + r.loc.String() + ")"
}

func (r *cronRule) minuteWords(minutes []int) (zh, en string) {
	if r.minute == everyMinute {
		return "每分钟", "every minute"
	}
	if step := stepOf(minutes, 60); step > 1 {
		return fmt.Sprintf("每 %d 分钟", step), fmt.Sprintf("every %d minutes", step)
	}
	span := spans(minutes, func(v int) string { return fmt.Sprint(v) })
	word := "minute "
	if len(minutes) > 1 {
		word = "minutes "
	}
	return "每小时第 " + span + " 分", "at " + word + span + " of the hour"
}

// stepOf is the distance between values that go around the field evenly, beginning with 0; 0 for others.
func stepOf(values []int, size int) int {
	if len(values) < 2 || values[0] != 0 || size%len(values) != 0 {
		return 0
	}
	step := size / len(values)
	for i, v := range values {
		if v != i*step {
			return 0
		}
	}
	return step
}

var (
	weekdaysZH = []string{"周日", "周一", "周二", "周三", "周四", "周五", "周六"}
	weekdaysEN = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
)

func (r *cronRule) dayWords() (zh, en string) {
	days, week, months := valuesOf(r.dom), valuesOf(r.dow), valuesOf(r.month)
	allDays, allWeek := len(days) == 31, len(week) == 7
	daysZH := spans(days, func(v int) string { return fmt.Sprint(v) }) + " 日"
	daysEN := "on day " + spans(days, func(v int) string { return fmt.Sprint(v) }) + " of the month"
	if len(months) == 12 {
		daysZH = "每月 " + daysZH
	}
	weekZH := spans(week, func(v int) string { return weekdaysZH[v] })
	weekEN := "on " + spans(week, func(v int) string { return weekdaysEN[v] })
	switch {
	case allDays && allWeek:
		if r.hour != everyHour {
			zh, en = "每天 ", ", every day"
		}
	case allWeek && (r.dowWild || r.domWild):
		zh, en = daysZH+" ", ", "+daysEN
	case allDays && (r.dowWild || r.domWild):
		zh, en = "每"+weekZH+" ", ", "+weekEN
	case r.domWild || r.dowWild:
		zh, en = daysZH+"且"+weekZH+" ", ", "+daysEN+" if it is "+strings.TrimPrefix(weekEN, "on ")
	default:
		zh, en = daysZH+"或"+weekZH+" ", ", "+daysEN+" or "+weekEN
	}
	if len(months) == 12 {
		return zh, en
	}
	monthZH := spans(months, func(v int) string { return fmt.Sprintf("%d 月", v) })
	monthEN := spans(months, func(v int) string { return time.Month(v).String() })
	return monthZH + " " + zh, en + ", in " + monthEN
}

func valuesOf(set uint64) []int {
	list := make([]int, 0, bits.OnesCount64(set))
	for ; set != 0; set &= set - 1 {
		list = append(list, bits.TrailingZeros64(set))
	}
	return list
}

// spans writes values with three or more in a row as a range.
func spans(values []int, name func(int) string) string {
	var parts []string
	for len(values) > 0 {
		n := 1
		for n < len(values) && values[n] == values[0]+n {
			n++
		}
		if n >= 3 {
			parts = append(parts, name(values[0])+"–"+name(values[n-1]))
		} else {
			for _, v := range values[:n] {
				parts = append(parts, name(v))
			}
		}
		values = values[n:]
	}
	return strings.Join(slices.Clip(parts), ", ")
}
