package show

import (
	"fmt"
	"strconv"
	"time"
)

// Ago is how long ago a time was, in two or three characters and a unit; "-" without one.
func Ago(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return Duration(now.Sub(*t))
}

// Until is how long until a time; "now" when it has passed, "-" without one.
func Until(t *time.Time, now time.Time) string {
	switch {
	case t == nil || t.IsZero():
		return "-"
	case !t.After(now):
		return "now"
	}
	return Duration(t.Sub(now))
}

// Duration is a duration in its largest two units. Below a second it is in milliseconds, and less than nothing is 0s.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "0s"
	case d < time.Second:
		return fmt.Sprintf("%dms", max(1, d.Milliseconds()))
	case d < 10*time.Second:
		return strconv.FormatFloat(float64(d.Truncate(100*time.Millisecond))/float64(time.Second), 'f', -1, 64) + "s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return two(d, time.Minute, "m", time.Second, "s")
	case d < day:
		return two(d, time.Hour, "h", time.Minute, "m")
	default:
		return two(d, day, "d", time.Hour, "h")
	}
}

func two(d, large time.Duration, largeUnit string, small time.Duration, smallUnit string) string {
	text := fmt.Sprintf("%d%s", d/large, largeUnit)
	if rest := d % large / small; rest > 0 {
		text += fmt.Sprintf("%d%s", rest, smallUnit)
	}
	return text
}

// Time is a time of the local zone, to the second; "" without one.
func Time(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 -07:00")
}

// Clock is Time without the date where it is today's, and without the zone.
func Clock(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	local, today := t.Local(), now.Local()
	if local.YearDay() == today.YearDay() && local.Year() == today.Year() {
		return local.Format("15:04:05")
	}
	return local.Format("2006-01-02 15:04:05")
}

// Count is a number with commas between thousands.
func Count(n int64) string {
	text := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(text) - 3; i > start; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Bytes is a size in binary units.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%dB", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1023.95 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f%ciB", value, units[unit])
}

var bars = []rune("▁▂▃▄▅▆▇█")

// Sparkline draws the last values as bars, of the largest's height; it is width wide, and blank where there are none.
func Sparkline(values []float64, width int) string {
	values = values[max(0, len(values)-width):]
	largest := 0.0
	for _, v := range values {
		largest = max(largest, v)
	}
	line := make([]rune, 0, width)
	for range width - len(values) {
		line = append(line, ' ')
	}
	for _, v := range values {
		level := 0
		if largest > 0 && v > 0 {
			level = min(len(bars)-1, int(v/largest*float64(len(bars)-1)+0.5))
		}
		line = append(line, bars[level])
	}
	return string(line)
}
