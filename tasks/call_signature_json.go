package tasks

import (
	"bytes"
	jsonv1 "encoding/json"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// signatureJSON is the form in which a Signature is stored: its options where they differ from the standard ones.
type signatureJSON struct {
	Task      string            `json:"task"`
	Args      jsonv1.RawMessage `json:"args"`
	Options                     // the callbacks of calls are hidden by those that follow
	OnSuccess []Signature       `json:"on_success,omitempty"`
	OnFailure []Signature       `json:"on_failure,omitempty"`

	DefinitionQueue string     `json:"definition_queue,omitzero"` // no call chose one: routes apply
	MadeID          bool       `json:"made_id,omitzero"`
	Encrypted       bool       `json:"encrypted,omitzero"`   // the definition is, and Args, where they were enqueued or resolved with keys
	EnqueuedAt      *time.Time `json:"enqueued_at,omitzero"` // of a resolved one
	RequestID       string     `json:"request_id,omitzero"`
	Parent          string     `json:"parent,omitzero"`
}

// MarshalJSON writes all that a task is made of, so that it can be enqueued where its definition is not known. Store it
// as text: the bytes of the arguments are what uniqueness goes by. An empty signature, and one whose arguments were
// refused, have no JSON.
func (s Signature) MarshalJSON() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	o, e := &s.options, s.options.extra()
	if o.err != nil {
		return nil, o.err
	}
	j := signatureJSON{
		Task: s.name, Args: s.payload, Options: o.json(),
		OnSuccess: e.onSuccess, OnFailure: e.onFailure,
		MadeID: o.idMade, Parent: e.parent, Encrypted: o.encrypted,
	}
	if o.queueChosen {
		j.Queue = &o.queue
	} else {
		j.DefinitionQueue = o.queue
	}
	if e.resolution != nil {
		j.EnqueuedAt, j.RequestID = &e.resolution.enqueued, e.resolution.requestID
	}
	return jsonv1.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote. Unknown names are an error; values out of range are reported when the
// signature is enqueued.
func (s *Signature) UnmarshalJSON(raw []byte) error {
	var j signatureJSON
	if err := json.Unmarshal(raw, &j, strict); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if err := checkName(j.Task); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	apply, err := j.withoutCallbacks()
	if err != nil {
		return fmt.Errorf("signature of %s: %w", j.Task, err)
	}
	o := standardOptions()
	if j.DefinitionQueue != "" {
		o.queue = j.DefinitionQueue
	}
	apply(&o)
	o.idMade, o.encrypted = j.MadeID, j.Encrypted
	if len(j.OnSuccess)+len(j.OnFailure) > 0 || j.Parent != "" || j.EnqueuedAt != nil {
		o.change(func(e *extras) {
			e.onSuccess, e.onFailure, e.parent = j.OnSuccess, j.OnFailure, j.Parent
			if j.EnqueuedAt != nil {
				e.resolution = &resolution{enqueued: *j.EnqueuedAt, requestID: j.RequestID}
			}
		})
	}
	payload, err := canonical(j.Args)
	if err != nil {
		return fmt.Errorf("signature of %s: arguments: %w", j.Task, err)
	}
	*s = Signature{name: j.Task, payload: payload, options: o}
	return nil
}

// canonical spells JSON as encoding/json does, whatever it went through on its way.
func canonical(raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		return []byte("{}"), nil
	}
	var compact, escaped bytes.Buffer
	if err := jsonv1.Compact(&compact, raw); err != nil {
		return nil, err
	}
	jsonv1.HTMLEscape(&escaped, compact.Bytes())
	return escaped.Bytes(), nil
}
