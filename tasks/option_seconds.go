package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"time"
)

// Seconds is a duration that JSON gives as a number of seconds (10, 0.5) or as a Go duration ("10s", "1h30m").
type Seconds time.Duration

var errNoDuration = errors.New(`want a number of seconds, or a duration such as "10s"`)

// UnmarshalJSON reads either form.
func (s *Seconds) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte(`"`)) {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return errNoDuration
		}
		*s = Seconds(d)
		return nil
	}
	var n float64
	if err := json.Unmarshal(raw, &n); err != nil || bytes.Equal(raw, []byte("null")) {
		return errNoDuration
	}
	if math.Abs(n) > math.MaxInt64/float64(time.Second)/2 {
		return errors.New("that many seconds do not fit")
	}
	*s = Seconds(math.Round(n * float64(time.Second)))
	return nil
}

// MarshalJSON writes the Go form.
func (s Seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).String()) }

// Expiry is a time (RFC 3339) or a duration after the eta. At is zero when In counts.
type Expiry struct {
	At time.Time
	In time.Duration
}

// UnmarshalJSON reads either form.
func (e *Expiry) UnmarshalJSON(raw []byte) error {
	var at time.Time
	if bytes.HasPrefix(raw, []byte(`"`)) && json.Unmarshal(raw, &at) == nil {
		*e = Expiry{At: at}
		return nil
	}
	var in Seconds
	if err := in.UnmarshalJSON(raw); err != nil {
		return errors.New(`want an RFC 3339 time, a number of seconds, or a duration such as "10s"`)
	}
	*e = Expiry{In: time.Duration(in)}
	return nil
}

// MarshalJSON writes the form that was given.
func (e Expiry) MarshalJSON() ([]byte, error) {
	if !e.At.IsZero() {
		return json.Marshal(e.At)
	}
	return json.Marshal(Seconds(e.In))
}
