package tasks

import (
	"encoding/json"
	"time"
)

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
	all, err := o.withoutCallbacks()
	if err != nil {
		return nil, err
	}
	list := []Option{all}
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

// withoutCallbacks is List without the callbacks.
func (o *Options) withoutCallbacks() (Option, error) {
	for _, row := range optionTable {
		if row.checkJSON != nil {
			if err := row.checkJSON(o); err != nil {
				return nil, err
			}
		}
	}
	given := *o
	return func(o *options) {
		for _, row := range optionTable {
			if row.apply != nil {
				row.apply(&given, o)
			}
		}
	}, nil
}

// applyJSON applies the option of a value that is there.
func applyJSON[T any](o *options, option func(T) Option, value *T) {
	if value != nil {
		option(*value)(o)
	}
}

func applySeconds(o *options, option func(time.Duration) Option, value *Seconds) {
	applyJSON(o, option, (*time.Duration)(value))
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

// settings is the JSON form.
func (b backoff) settings() *BackoffSettings {
	settings := &BackoffSettings{Base: Seconds(b.base), Cap: Seconds(b.limit)}
	if b.exact {
		settings.Jitter = new(bool)
	}
	return settings
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
	standard := standardOptions()
	var j Options
	for _, row := range optionTable {
		if row.show != nil {
			row.show(o, &standard, &j)
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
