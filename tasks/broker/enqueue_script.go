package broker

import (
	"encoding/json"
	"time"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// extra is what the script is told of a message that is not plain.
type extra struct {
	Priority string   `json:"prio,omitempty"`
	List     string   `json:"list,omitempty"`     // key of the priority's pending tasks
	Tags     string   `json:"tags,omitempty"`     // joined by spaces
	TagKeys  []string `json:"tag_keys,omitempty"` // of the sets of their tasks
	Lock     string   `json:"lock,omitempty"`     // key of the throttle or debounce
	LockTime int64    `json:"lock_ms,omitempty"`
	Window   bool     `json:"window,omitempty"` // debounce
	Tasks    string   `json:"tasks,omitempty"`  // prefix of the tasks' keys
	Prefix   string   `json:"prefix,omitempty"` // of our keys
	Alone    bool     `json:"alone,omitempty"`  // no queue may have the id
}

// extra is nil for a plain message. everywhere tells whether the script can look into all queues.
func (m *Message) extra(everywhere bool) []byte {
	alone := m.Chosen && everywhere
	if m.Priority == Normal && len(m.Tags) == 0 && m.Throttle <= 0 && m.Debounce <= 0 && !alone {
		return nil
	}
	x := extra{Prefix: format.OwnPrefix(m.Queue), Alone: alone}
	switch m.Priority {
	case High:
		x.Priority, x.List = format.HighName, format.HighKey(m.Queue)
	case Low:
		x.Priority, x.List = format.LowName, format.LowKey(m.Queue)
	}
	for i, tag := range m.Tags {
		if i > 0 {
			x.Tags += " "
		}
		x.Tags += tag
		x.TagKeys = append(x.TagKeys, format.TagKey(m.Queue, tag))
	}
	switch {
	case m.Throttle > 0:
		x.Lock, x.LockTime = format.ThrottleKey(m.Queue, m.Task, format.Digest(m.key())), m.Throttle.Milliseconds()
	case m.Debounce > 0:
		x.Lock, x.LockTime = format.DebounceKey(m.Queue, m.Task, format.Digest(m.Key)), time.Until(m.due()).Milliseconds()
		x.Window, x.Tasks = true, format.TaskKeyPrefix(m.Queue)
	}
	text, err := json.Marshal(x)
	if err != nil { // a struct of texts has a JSON form
		return nil
	}
	return text
}

// key is what uniqueness and throttle go by.
func (m *Message) key() []byte {
	if m.Key != nil {
		return m.Key
	}
	return m.Payload
}

// due is the whole second before which the task does not begin, zero for at once. It is fixed by the first call.
func (m *Message) due() time.Time {
	if m.Debounce > 0 && m.At.IsZero() {
		m.At = time.Now().Add(m.Debounce + time.Second - 1).Truncate(time.Second)
	}
	return m.At
}

var enqueueScript = format.Script("enqueue.lua")
