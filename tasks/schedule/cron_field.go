package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// cronField is one of the five fields of a cron rule.
type cronField struct {
	name        string
	least, most int
	names       string // of three letters each, the first one for least; "" for none
}

var cronFields = [5]cronField{
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day of month", 1, 31, ""},
	{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
	{"day of week", 0, sunday, "sunmontuewedthufrisat"},
}

// sunday is its second number.
const sunday = 7

var cronNicknames = map[string]string{
	"@hourly":   "0 * * * *",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@weekly":   "0 0 * * 0",
	"@monthly":  "0 0 1 * *",
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
}

// splitCron returns the five fields of a rule, or of its nickname.
func splitCron(text string) ([]string, error) {
	switch {
	case text == "":
		return nil, errors.New("is empty")
	case strings.HasPrefix(text, "@every"):
		return nil, errors.New(`takes no "@every": use "every" instead of "cron"`)
	case strings.HasPrefix(text, "TZ="), strings.HasPrefix(text, "CRON_TZ="):
		return nil, errors.New(`takes no time zone: use "timezone" beside "cron"`)
	case text[0] == '@':
		rule, known := cronNicknames[text]
		if !known {
			return nil, fmt.Errorf("there is no %q, only @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually", text)
		}
		text = rule
	}
	fields := strings.Fields(text)
	if len(fields) != len(cronFields) {
		return nil, fmt.Errorf("has %d fields, not the five of minute, hour, day of month, month, day of week", len(fields))
	}
	return fields, nil
}

// parse returns the field's values as a bit set. Sunday is 0.
func (f cronField) parse(text string) (uint64, error) {
	var set uint64
	for element := range strings.SplitSeq(text, ",") {
		values, err := f.element(element)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", f.name, err)
		}
		set |= values
	}
	if f.most == sunday && set&(1<<sunday) != 0 {
		set = set&^(1<<sunday) | 1
	}
	return set, nil
}

// element is one of "*", "5", "mon-fri", "*/10", "10-40/15"; "5/10" is from 5 on. A range may go around the end of the field.
func (f cronField) element(text string) (set uint64, err error) {
	span, step, err := f.cutStep(text)
	if err != nil {
		return 0, err
	}
	first, last := f.least, f.most
	if span != "*" && span != "?" {
		from, to, isRange := strings.Cut(span, "-")
		if first, err = f.value(from, text); err != nil {
			return 0, err
		}
		switch {
		case isRange:
			if last, err = f.value(to, text); err != nil {
				return 0, err
			}
		case step == 0:
			last = first
		}
	}
	size := f.most - f.least + 1
	if last < first {
		if f.most == sunday && step > 1 { // Sunday, being 0 and 7, would count twice
			return 0, fmt.Errorf("a range around the end of the week takes no step: %q", text)
		}
		last += size
	}
	if step > 1 && step > last-first {
		return 0, fmt.Errorf("the step of %q is as long as its range", text)
	}
	for v := first; v <= last; v += max(step, 1) {
		set |= 1 << (f.least + (v-f.least)%size)
	}
	return set, nil
}

// cutStep takes the step off an element; 0 is none.
func (f cronField) cutStep(text string) (span string, step int, err error) {
	span, digits, stepped := strings.Cut(text, "/")
	if !stepped {
		return span, 0, nil
	}
	if step, err = number(digits); err != nil {
		return "", 0, fmt.Errorf("the step of %q is not a number", text)
	}
	if step == 0 {
		return "", 0, fmt.Errorf("the step of %q is not positive", text)
	}
	return span, step, nil
}

// value reads a number or a name of an element.
func (f cronField) value(word, element string) (int, error) {
	if len(word) == 3 && f.names != "" {
		if i := strings.Index(f.names, strings.ToLower(word)); i >= 0 && i%3 == 0 {
			return f.least + i/3, nil
		}
	}
	n, err := number(word)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a number, name, range or step", element)
	case n < f.least:
		return 0, fmt.Errorf("%q is below the minimum (%d)", element, f.least)
	case n > f.most:
		return 0, fmt.Errorf("%q is above the maximum (%d)", element, f.most)
	}
	return n, nil
}

// number reads digits only: no sign.
func number(digits string) (int, error) {
	n, err := strconv.ParseUint(digits, 10, bits.UintSize-1)
	return int(n), err
}
