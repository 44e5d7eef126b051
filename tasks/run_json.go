package tasks

import (
	"encoding/json"
	"strconv"
	"time"
)

// appendQuoted appends a string as JSON. Bytes that are not UTF-8 become U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always has a JSON form
				quoted = []byte(`""`)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendMillis appends a time as RFC 3339 in UTC, with milliseconds.
func appendMillis(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendPadded(b, year, 4)
	b = append(b, '-')
	b = appendPadded(b, int(month), 2)
	b = append(b, '-')
	b = appendPadded(b, day, 2)
	b = append(b, 'T')
	b = appendPadded(b, hour, 2)
	b = append(b, ':')
	b = appendPadded(b, minute, 2)
	b = append(b, ':')
	b = appendPadded(b, second, 2)
	b = append(b, '.')
	b = appendPadded(b, t.Nanosecond()/int(time.Millisecond), 3)
	return append(b, 'Z')
}

// appendPadded appends a number of 0 or more in at least the given digits.
func appendPadded(b []byte, n, digits int) []byte {
	for least := 10; digits > 1; digits-- {
		if n < least {
			for range digits - 1 {
				b = append(b, '0')
			}
			break
		}
		least *= 10
	}
	return strconv.AppendInt(b, int64(n), 10)
}
