package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"time"
)

// Options is the JSON form of the options of one call. A field that is absent leaves the definition's value.
type Options struct {
	ID         *string          `json:"id,omitempty"`
	Queue      *string          `json:"queue,omitempty"`
	Countdown  *Seconds         `json:"countdown,omitempty"`
	ETA        *time.Time       `json:"eta,omitempty"`
	Expires    *Expiry          `json:"expires,omitempty"`
	MaxRetries *int             `json:"max_retries,omitempty"`
	Backoff    *BackoffSettings `json:"backoff,omitempty"`
	Timeout    *Seconds         `json:"timeout,omitempty"`
	UniqueFor  *Seconds         `json:"unique_for,omitempty"`
	Retention  *Seconds         `json:"retention,omitempty"`
}

// BackoffSettings is the JSON form of Backoff and Jitter; jitter is on unless it is false.
type BackoffSettings struct {
	Base   Seconds `json:"base"`
	Cap    Seconds `json:"cap"`
	Jitter *bool   `json:"jitter,omitempty"`
}

// List turns the JSON form into options. Values out of range are reported when the task is enqueued; an id that is
// present but empty is refused here, since "" means "make one" further on.
func (o Options) List() ([]Option, error) {
	var list []Option
	if o.ID != nil {
		if *o.ID == "" {
			return nil, optionErrorf("id", "is empty: leave it out to have one made")
		}
		list = append(list, ID(*o.ID))
	}
	if o.Queue != nil {
		list = append(list, Queue(*o.Queue))
	}
	if o.Countdown != nil {
		list = append(list, Countdown(time.Duration(*o.Countdown)))
	}
	if o.ETA != nil {
		list = append(list, ETA(*o.ETA))
	}
	if o.Expires != nil {
		if o.Expires.At.IsZero() {
			if o.Expires.In <= 0 {
				return nil, optionErrorf("expires", "a duration must be above 0")
			}
			list = append(list, ExpiresIn(o.Expires.In))
		} else {
			list = append(list, Expires(o.Expires.At))
		}
	}
	if o.MaxRetries != nil {
		list = append(list, MaxRetries(*o.MaxRetries))
	}
	if o.Backoff != nil {
		list = append(list, Backoff(time.Duration(o.Backoff.Base), time.Duration(o.Backoff.Cap)))
		if o.Backoff.Jitter != nil {
			list = append(list, Jitter(*o.Backoff.Jitter))
		}
	}
	if o.Timeout != nil {
		list = append(list, Timeout(time.Duration(*o.Timeout)))
	}
	if o.UniqueFor != nil {
		list = append(list, UniqueFor(time.Duration(*o.UniqueFor)))
	}
	if o.Retention != nil {
		list = append(list, Retention(time.Duration(*o.Retention)))
	}
	return list, nil
}

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
