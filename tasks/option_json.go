package tasks

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// Options is the JSON form of the options of one call. A field that is absent leaves the definition's value.
type Options struct {
	ID              *string           `json:"id,omitempty"`
	Queue           *string           `json:"queue,omitempty"`
	Priority        *PriorityLevel    `json:"priority,omitempty"`
	Countdown       *Seconds          `json:"countdown,omitempty"`
	ETA             *time.Time        `json:"eta,omitempty"`
	Expires         *Expiry           `json:"expires,omitempty"`
	MaxRetries      *int              `json:"max_retries,omitempty"`
	Backoff         *BackoffSettings  `json:"backoff,omitempty"`
	Timeout         *Seconds          `json:"timeout,omitempty"`
	HardTimeout     *Seconds          `json:"hard_timeout,omitempty"`
	MaxCrashes      *int              `json:"max_crashes,omitempty"`
	ResultLimit     *int              `json:"result_limit,omitempty"`
	UniqueFor       *Seconds          `json:"unique_for,omitempty"`
	UniqueUntilDone *bool             `json:"unique_until_done,omitempty"`
	UniqueKey       *string           `json:"unique_key,omitempty"`
	Throttle        *Seconds          `json:"throttle,omitempty"`
	Debounce        *Seconds          `json:"debounce,omitempty"`
	Retention       *Seconds          `json:"retention,omitempty"`
	History         *HistoryMode      `json:"history,omitempty"`
	Durable         *bool             `json:"durable,omitempty"`
	Tags            []string          `json:"tags,omitempty"`
	Headers         map[string]string `json:"headers,omitempty"`
	OnSuccess       []Call            `json:"on_success,omitempty"`
	OnFailure       []Call            `json:"on_failure,omitempty"`
}

// Call is the JSON form of a call: the task's name, its arguments and the call's options.
type Call struct {
	Task string          `json:"task"`
	Args json.RawMessage `json:"args,omitempty"`
	Options
}

// Signature binds the call to its definition. It refuses with an *ArgsError, or an *OptionError that names the field.
func (c *Call) Signature(catalog *Catalog) (Signature, error) {
	spec, known := catalog.Lookup(c.Task)
	if !known {
		return Signature{}, optionErrorf("task", "there is no task %s", quoted(c.Task))
	}
	opts, err := c.Options.List(catalog)
	if err != nil {
		return Signature{}, err
	}
	return spec.SignatureJSON(c.Args, opts...)
}

// BackoffSettings is the JSON form of Backoff and Jitter; jitter is on unless it is false.
type BackoffSettings struct {
	Base   Seconds `json:"base"`
	Cap    Seconds `json:"cap"`
	Jitter *bool   `json:"jitter,omitempty"`
}

// List turns the JSON form into options; callbacks are bound to the catalog's definitions. Values out of range are
// reported when the task is enqueued. What only JSON can get wrong gives an *OptionError here: a callback, and an id that
// is present but empty, since "" means "make one" further on.
func (o *Options) List(catalog *Catalog) ([]Option, error) {
	list, err := o.list()
	if err != nil {
		return nil, err
	}
	for _, callbacks := range []struct {
		field string
		calls []Call
		with  func(...Signature) Option
	}{{"on_success", o.OnSuccess, OnSuccess}, {"on_failure", o.OnFailure, OnFailure}} {
		if len(callbacks.calls) == 0 {
			continue
		}
		signatures, err := callbackSignatures(callbacks.field, callbacks.calls, catalog)
		if err != nil {
			return nil, err
		}
		list = append(list, callbacks.with(signatures...))
	}
	return list, nil
}

// list is List without the callbacks.
func (o *Options) list() ([]Option, error) {
	var list []Option
	switch {
	case o.ID != nil && *o.ID == "":
		return nil, optionErrorf("id", "is empty: leave it out to have one made")
	case o.Expires != nil && o.Expires.At.IsZero() && o.Expires.In <= 0:
		return nil, optionErrorf("expires", "a duration must be above 0")
	case o.UniqueUntilDone != nil && o.UniqueFor != nil:
		return nil, optionErrorf("unique_until_done", "excludes unique_for: give one of them")
	}
	appendOption(&list, ID, o.ID)
	appendOption(&list, Queue, o.Queue)
	appendOption(&list, Priority, o.Priority)
	appendSeconds(&list, Countdown, o.Countdown)
	appendOption(&list, ETA, o.ETA)
	appendOption(&list, Expiry.option, o.Expires)
	appendOption(&list, MaxRetries, o.MaxRetries)
	appendOption(&list, BackoffSettings.option, o.Backoff)
	appendSeconds(&list, Timeout, o.Timeout)
	appendSeconds(&list, HardTimeout, o.HardTimeout)
	appendOption(&list, MaxCrashes, o.MaxCrashes)
	appendOption(&list, ResultLimit, o.ResultLimit)
	appendSeconds(&list, UniqueFor, o.UniqueFor)
	appendOption(&list, uniqueUntilDone, o.UniqueUntilDone)
	appendOption(&list, UniqueKey, o.UniqueKey)
	appendSeconds(&list, Throttle, o.Throttle)
	appendSeconds(&list, Debounce, o.Debounce)
	appendSeconds(&list, Retention, o.Retention)
	appendOption(&list, History, o.History)
	appendOption(&list, durable, o.Durable)
	if len(o.Tags) > 0 {
		list = append(list, Tags(o.Tags...))
	}
	for _, key := range slices.Sorted(maps.Keys(o.Headers)) {
		list = append(list, Header(key, o.Headers[key]))
	}
	return list, nil
}

// appendOption adds the option of a value that is there.
func appendOption[T any](list *[]Option, option func(T) Option, value *T) {
	if value != nil {
		*list = append(*list, option(*value))
	}
}

func appendSeconds(list *[]Option, option func(time.Duration) Option, value *Seconds) {
	appendOption(list, option, (*time.Duration)(value))
}

func (e Expiry) option() Option {
	if e.At.IsZero() {
		return ExpiresIn(e.In)
	}
	return Expires(e.At)
}

func (b BackoffSettings) option() Option {
	return func(o *options) {
		Backoff(time.Duration(b.Base), time.Duration(b.Cap))(o)
		if b.Jitter != nil {
			Jitter(*b.Jitter)(o)
		}
	}
}

func uniqueUntilDone(on bool) Option {
	if on {
		return UniqueUntilDone()
	}
	return UniqueFor(0)
}

func callbackSignatures(field string, calls []Call, catalog *Catalog) ([]Signature, error) {
	if len(calls) > MaxCallbacks {
		return nil, optionErrorf(field, "%d calls are more than %d", len(calls), MaxCallbacks)
	}
	signatures := make([]Signature, len(calls))
	for i := range calls {
		var err error
		if signatures[i], err = calls[i].Signature(catalog); err != nil {
			return nil, atCallback(indexedField(field, i), err)
		}
	}
	return signatures, nil
}

// json is the options in their JSON form where they differ from the standard. The queue and the callbacks are left out.
func (o *options) json() Options {
	standard, e := standardOptions(), o.extra()
	j := Options{
		ID:          unlessStandard("", o.id),
		Priority:    unlessStandard(standard.priority, o.priority),
		Countdown:   unlessStandard(0, Seconds(o.countdown)),
		MaxRetries:  unlessStandard(standard.maxRetries, o.maxRetries),
		Timeout:     unlessStandard(Seconds(standard.timeout), Seconds(o.timeout)),
		HardTimeout: unlessStandard(0, Seconds(o.hardTimeout)),
		MaxCrashes:  unlessStandard(standard.maxCrashes, o.maxCrashes),
		ResultLimit: unlessStandard(standard.resultLimit, o.resultLimit),
		UniqueFor:   unlessStandard(0, Seconds(o.uniqueFor)),
		UniqueKey:   unlessStandard("", e.uniqueKey),
		Throttle:    unlessStandard(0, Seconds(o.throttle)),
		Debounce:    unlessStandard(0, Seconds(o.debounce)),
		Retention:   unlessStandard(Seconds(standard.retention), Seconds(o.retention)),
		History:     unlessStandard(standard.history, o.history),
		Durable:     unlessStandard(standard.durable, o.durable),
		Tags:        e.tags,
		Headers:     headerMap(e.headers),
	}
	if !o.eta.IsZero() {
		j.ETA = &o.eta
	}
	if !o.expires.IsZero() || o.expiresIn != 0 {
		j.Expires = &Expiry{At: o.expires, In: o.expiresIn}
	}
	if o.backoff != standard.backoff {
		j.Backoff = &BackoffSettings{Base: Seconds(o.backoff.base), Cap: Seconds(o.backoff.limit)}
		if o.backoff.exact {
			j.Backoff.Jitter = new(bool)
		}
	}
	return j
}

// unlessStandard is a pointer to the value, or nil for the standard.
func unlessStandard[T comparable](standard, value T) *T {
	if value == standard {
		return nil
	}
	return &value
}

func headerMap(list []broker.Header) map[string]string {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]string, len(list))
	for _, h := range list {
		m[h.Key] = h.Value
	}
	return m
}
