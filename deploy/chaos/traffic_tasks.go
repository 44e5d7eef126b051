package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// The states that tasks end in.
const (
	stateSuccess = "SUCCESS"
	stateFailure = "FAILURE"
	stateRevoked = "REVOKED"
)

func final(state string) bool {
	return state == stateSuccess || state == stateFailure || state == stateRevoked
}

// failingRetries is how often a task that cannot succeed is tried again.
const failingRetries = 2

// order is what is posted, and what is expected of it.
type order struct {
	body  map[string]any
	calls []call // the task's, and those of what it calls back
}

// newOrder makes a task of the plan. Its result is kept longer than any run of this program.
func (g *generator) newOrder(q request) order {
	id, n, m := g.name(q), q.value, q.target
	body := map[string]any{
		"task": "demo.add", "args": map[string]any{"n": n, "m": m}, "id": id, "retention": "24h", "tags": []string{"chaos"},
	}
	c := call{ID: id, Variant: q.variant, Ends: []string{stateSuccess}, Want: strconv.Itoa(n + m), At: time.Now()}
	callback := func(suffix string) (map[string]any, call) {
		then := id + suffix
		return map[string]any{"task": "demo.low", "args": map[string]any{"n": n, "m": m}, "id": then, "retention": "24h"},
			call{ID: then, Variant: q.variant + suffix, Ends: []string{stateSuccess}, Want: strconv.Itoa(n - m), Parent: id, At: c.At}
	}
	switch q.variant {
	case "plain", "batch":
		delete(body, "id")
	case "eta":
		body["countdown"] = float64(1+n%6) + 0.25
	case "durable":
		body["durable"] = true
		c.Durable = true
	case "callback":
		then, child := callback("-then")
		body["on_success"] = []any{then}
		return order{body, []call{c, child}}
	case "failing":
		then, child := callback("-failed")
		body["on_failure"] = []any{then}
		body["task"], body["queue"] = "refresh.changed", "low"
		body["args"] = map[string]any{"changes": []any{map[string]any{"cache": "nobody-knows-it", "id": "1"}}}
		body["max_retries"], body["backoff"] = failingRetries, map[string]any{"base": "500ms", "cap": "1s"}
		c.Ends, c.Want = []string{stateFailure}, ""
		return order{body, []call{c, child}}
	case "revoke":
		body["countdown"] = "20s"
		c.Ends = []string{stateSuccess, stateRevoked}
	case "expiring":
		body["countdown"], body["expires"] = "1s", "3s"
		c.Ends = []string{stateSuccess, stateRevoked}
	}
	return order{body, []call{c}}
}

// callTask enqueues a task and asks for its result. One with an id of its own is posted again when the answer is unknown.
func (g *generator) callTask(ctx, over context.Context, q request) {
	o := g.newOrder(q)
	if q.variant == "batch" {
		g.callBatch(ctx, q, o)
		return
	}
	a := g.send(ctx, q, http.MethodPost, "/v1/tasks", operatorKey, o.body)
	v := a.verdict()
	for again := 0; v == unknown && o.body["id"] != nil && again < 3 && pause(over, time.Second); again++ {
		a = g.send(ctx, q, http.MethodPost, "/v1/tasks", operatorKey, o.body)
		if now := a.verdict(); now != refused { // the first may have been taken
			v = now
		}
	}
	if v == declined && a.TaskID == o.calls[0].ID { // it is there already
		v = accepted
	}
	if v == refused || a.TaskID == "" && o.body["id"] == nil {
		return
	}
	for i := range o.calls {
		o.calls[i].Verdict = v
	}
	o.calls[0].ID = firstOf(a.TaskID, o.calls[0].ID)
	if v == accepted {
		if q.variant == "revoke" && pause(over, time.Duration(q.value)*2*time.Millisecond) {
			o.calls[0].Revoked = g.revoke(ctx, q, o.calls[0].ID)
		}
		o.calls[0].Told = g.follow(over, q, o.calls[0].ID)
	}
	g.book.enter(func(b *book) { b.calls = append(b.calls, o.calls...) })
}

// callBatch enqueues three at once.
func (g *generator) callBatch(ctx context.Context, q request, o order) {
	a := g.send(ctx, q, http.MethodPost, "/v1/tasks/batch", operatorKey, map[string]any{"tasks": []any{o.body, o.body, o.body}})
	var items []struct {
		Code   int
		TaskID string `json:"task_id"`
	}
	if a.into(&items) != nil {
		return
	}
	for _, item := range items {
		if item.Code == 100 {
			c := o.calls[0]
			c.ID, c.Verdict = item.TaskID, accepted
			g.book.enter(func(b *book) { b.calls = append(b.calls, c) })
		}
	}
}

// revoke is accepted when the task will not run.
func (g *generator) revoke(ctx context.Context, q request, id string) verdict {
	a := g.send(ctx, q, http.MethodDelete, "/v1/tasks/"+url.PathEscape(id), operatorKey, nil)
	var now struct{ State string }
	if v := a.verdict(); v != accepted {
		return v
	}
	if a.into(&now) != nil || now.State != stateRevoked {
		return unknown
	}
	return accepted
}

// follow asks where a task stands until it has ended, some times at most.
func (g *generator) follow(over context.Context, q request, id string) (told []state) {
	for range 4 {
		a := g.send(over, q, http.MethodGet, "/v1/tasks/"+url.PathEscape(id)+"?wait=3s", operatorKey, nil)
		s, err := taskOf(a)
		if err == nil {
			told = append(told, state{a.begun, s.State, compact(s.Result)})
			if final(s.State) {
				break
			}
		}
		if !pause(over, 500*time.Millisecond) {
			break
		}
	}
	return told
}

// task is where a task stands, as the API tells it.
type task struct {
	ID        string
	State     string
	Result    json.RawMessage
	Error     string
	Worker    string
	Retries   int
	Crashes   int
	ETA       *time.Time
	StartedAt *time.Time `json:"started_at"`
	Attempts  []attempt
}

type attempt struct {
	Number    int
	Worker    string
	Outcome   string
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
}

func taskOf(a answer) (t task, err error) {
	err = a.into(&t)
	return t, err
}

// succeeded is how often it has run to its end.
func (t task) succeeded() (n int) {
	for _, a := range t.Attempts {
		if a.Outcome == "success" {
			n++
		}
	}
	return n
}

func (t task) String() string {
	return fmt.Sprintf("%s %s, result %s, error %q, %d retries, %d crashes, attempts %v",
		t.ID, t.State, compact(t.Result), t.Error, t.Retries, t.Crashes, t.Attempts)
}

func firstOf(texts ...string) string {
	return texts[max(0, slices.IndexFunc(texts, func(s string) bool { return s != "" }))]
}
