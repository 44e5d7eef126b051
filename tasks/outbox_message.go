package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// OutboxMessage is a task on its way through an outbox: all about it is settled, its id, queue, times and options, so that it
// can be sent later, by another process and more than once, and is always the same task. Its JSON form is what an outbox
// keeps. Messages are made by EnqueueTx and the option Durable.
type OutboxMessage struct{ message *broker.Message }

// ID is the task's.
func (p *OutboxMessage) ID() string { return p.message.ID }

// Task is the task's name.
func (p *OutboxMessage) Task() string { return p.message.Task }

// Queue is where the task goes.
func (p *OutboxMessage) Queue() string { return p.message.Queue }

// Args are the task's arguments, as JSON. They must not be changed.
func (p *OutboxMessage) Args() json.RawMessage { return p.message.Payload }

// OutboxRetention is how long a task from an outbox is known to Redis after its end, at least, so that one which Redis does
// not know is one that Redis has lost, or is Repeatable. An outbox has to look at each task that it sent more often than this.
const OutboxRetention = 15 * time.Minute

// headers are those that the task will have.
func (p *OutboxMessage) headers() map[string]string {
	list := make(map[string]string, len(p.message.Headers))
	for _, h := range p.message.Headers {
		list[h.Key] = h.Value
	}
	return list
}

// newOutboxMessage makes a message one of an outbox. Calling it again changes nothing.
func newOutboxMessage(m *broker.Message) *OutboxMessage {
	mark := broker.Header{Key: headerOutbox, Value: "1"}
	if !slices.Contains(m.Headers, mark) {
		m.Headers = append(m.Headers, mark)
	}
	return &OutboxMessage{m}
}

// outboxMessageJSON is the stored form. Durations are in seconds, the time in Unix seconds; what is absent is zero.
type outboxMessageJSON struct {
	ID        string          `json:"id"`
	Chosen    bool            `json:"chosen,omitempty"`
	Task      string          `json:"task"`
	Queue     string          `json:"queue"`
	Args      json.RawMessage `json:"args"`
	Headers   [][2]string     `json:"headers"`
	MaxRetry  int             `json:"max_retry,omitempty"`
	Timeout   int64           `json:"timeout"`
	Retention int64           `json:"retention"`
	At        int64           `json:"at,omitempty"`
	Priority  broker.Priority `json:"priority,omitempty"`
	Tags      []string        `json:"tags,omitempty"`
	UniqueFor int64           `json:"unique_for,omitempty"`
	Throttle  int64           `json:"throttle,omitempty"`
	Key       []byte          `json:"key,omitempty"`
}

// MarshalJSON writes the form that an outbox keeps.
func (p *OutboxMessage) MarshalJSON() ([]byte, error) {
	m := p.message
	stored := outboxMessageJSON{
		ID:        m.ID,
		Chosen:    m.Chosen,
		Task:      m.Task,
		Queue:     m.Queue,
		Args:      m.Payload,
		Headers:   make([][2]string, len(m.Headers)),
		MaxRetry:  m.MaxRetry,
		Timeout:   int64(m.Timeout / time.Second),
		Retention: int64(m.Retention / time.Second),
		Priority:  m.Priority,
		Tags:      m.Tags,
		UniqueFor: int64(m.UniqueFor / time.Second),
		Throttle:  int64(m.Throttle / time.Second),
		Key:       m.Key,
	}
	for i, h := range m.Headers {
		stored.Headers[i] = [2]string{h.Key, h.Value}
	}
	if !m.At.IsZero() {
		stored.At = m.At.Unix()
	}
	return json.Marshal(stored)
}

// maxOutboxSeconds is beyond what any option allows, in seconds, and fits a time.Duration.
const maxOutboxSeconds = 100 * 366 * 24 * 3600

// UnmarshalJSON reads what MarshalJSON wrote, here or in a later version, and refuses what no task can be.
func (p *OutboxMessage) UnmarshalJSON(raw []byte) error {
	var stored outboxMessageJSON
	if err := json.Unmarshal(raw, &stored); err != nil {
		return err
	}
	switch {
	case !storedID(stored.ID):
		return fmt.Errorf("%q is no task id", stored.ID)
	case !ValidQueue(stored.Queue):
		return fmt.Errorf("%q is no queue", stored.Queue)
	case checkName(stored.Task) != nil:
		return checkName(stored.Task)
	case stored.Timeout < 1 || min(stored.Retention, stored.UniqueFor, stored.Throttle, int64(stored.MaxRetry)) < 0,
		max(stored.Timeout, stored.Retention, stored.UniqueFor, stored.Throttle) > maxOutboxSeconds:
		return errors.New("a limit is out of its range")
	}
	m := &broker.Message{
		ID:        stored.ID,
		Chosen:    stored.Chosen,
		Task:      stored.Task,
		Queue:     stored.Queue,
		Payload:   stored.Args,
		Headers:   make([]broker.Header, len(stored.Headers)),
		MaxRetry:  stored.MaxRetry,
		Timeout:   time.Duration(stored.Timeout) * time.Second,
		Retention: time.Duration(stored.Retention) * time.Second,
		Priority:  stored.Priority,
		Tags:      stored.Tags,
		UniqueFor: time.Duration(stored.UniqueFor) * time.Second,
		Throttle:  time.Duration(stored.Throttle) * time.Second,
		Key:       stored.Key,
	}
	for i, h := range stored.Headers {
		m.Headers[i] = broker.Header{Key: h[0], Value: h[1]}
	}
	if stored.At != 0 {
		m.At = time.Unix(stored.At, 0)
	}
	p.message = m
	return nil
}
