package main

import (
	"encoding/json"
	"sync"
	"time"
)

// verdict is what an answer says about its request.
type verdict string

const (
	accepted verdict = "accepted" // it is, or will be, done
	declined verdict = "declined" // the business said no
	refused  verdict = "refused"  // nothing was done: a 4xx, or there was no connection
	unknown  verdict = "unknown"  // no answer, or a 5xx: it may have been done
)

// book is what clients asked and were told in one act. It is safe for concurrent use until it is judged.
type book struct {
	mu      sync.Mutex
	texts   []text
	logins  []login
	sales   []sale
	tickets []ticket
	writes  []write
	calls   []call
	odd     []oddity
	counts  map[string]map[string]int // by kind and what came of it
}

// text is an accepted request for a code.
type text struct {
	TaskID, Mobile string
	At             time.Time
}

// login is a user that somebody logged in as.
type login struct {
	UserID int64
	Mobile string
	At     time.Time
}

// sale is a goods on sale, with the stock it began with.
type sale struct {
	GoodsID int64
	Stock   int64
}

// ticket is a place in the queue of a sale.
type ticket struct {
	TaskID  string
	UserID  int64
	GoodsID int64
	At      time.Time
	Told    []outcome // what its user read, in order
}

// outcome is an answer to the question what became of a ticket.
type outcome struct {
	At      time.Time
	Status  int
	Code    int // 100, 101, 102, 103
	Reason  string
	OrderNo string
}

// write sets a value that its key's writer alone sets, one after the other.
type write struct {
	Kind, Key, Value string
	Verdict          verdict
	Begun, Ended     time.Time
}

// call is a task.
type call struct {
	ID      string
	Variant string
	Ends    []string // the states that it may end in
	Want    string   // the result, as JSON, where it ends in SUCCESS
	Durable bool
	Verdict verdict
	Revoked verdict // what came of revoking it; "" when nobody tried
	Parent  string  // the id of the task whose end makes this one, "" without
	At      time.Time
	Told    []state // what its client read, in order
}

// state is an answer to the question where a task stands.
type state struct {
	At     time.Time
	State  string
	Result string
}

// oddity is an answer that is wrong whatever else is true.
type oddity struct {
	At         time.Time
	Rule, What string
}

func newBook() *book { return &book{counts: make(map[string]map[string]int)} }

// enter runs f, which adds to the book, alone.
func (b *book) enter(f func(*book)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b)
}

// count counts a request of a kind by what came of it.
func (b *book) count(kind, what string) {
	b.enter(func(b *book) {
		if b.counts[kind] == nil {
			b.counts[kind] = make(map[string]int)
		}
		b.counts[kind][what]++
	})
}

// compact makes JSON comparable.
func compact(raw json.RawMessage) string {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil || v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}
