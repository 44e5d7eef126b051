package fetch_test

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// modelTask is what the test believes of a task.
type modelTask struct {
	state   string // asynq's; "" is gone
	revoked bool   // it must not run, until it is run again by hand
	result  bool   // completed with success
	runs    string // the header
}

// revokeModel plays the clients, the operator and a worker of one queue, one call at a time.
type revokeModel struct {
	b      *broker.Broker
	w      *brokertest.Worker
	tasks  map[string]*modelTask
	second int64 // the worker's clock
}

// ids are the tasks in one of the states, in order.
func (m *revokeModel) ids(states ...string) (ids []string) {
	for _, id := range slices.Sorted(maps.Keys(m.tasks)) {
		if slices.Contains(states, m.tasks[id].state) {
			ids = append(ids, id)
		}
	}
	return ids
}

// draw is one of the ids, or skips the action.
func draw(rt *rapid.T, ids []string) string {
	if len(ids) == 0 {
		rt.Skip()
	}
	return rapid.SampledFrom(ids).Draw(rt, "id")
}

func (m *revokeModel) enqueue(rt *rapid.T) {
	id := strconv.Itoa(rapid.IntRange(0, 5).Draw(rt, "id"))
	msg := brokertest.Message("q", id)
	msg.Retention, msg.Priority = time.Hour, rapid.SampledFrom([]broker.Priority{broker.Normal, broker.High, broker.Low}).Draw(rt, "priority")
	if rapid.Bool().Draw(rt, "tagged") {
		msg.Tags = []string{"a"}
	}
	if rapid.Bool().Draw(rt, "unique") {
		msg.UniqueFor = time.Hour
	}
	state := "pending"
	if rapid.Bool().Draw(rt, "later") {
		state, msg.At = "scheduled", time.Now().Add(time.Hour)
	}
	want := broker.Made
	if t := m.tasks[id]; t != nil && t.state != "" {
		want = broker.Taken
	}
	r := m.b.Enqueue(context.Background(), msg)[0]
	require.NoError(rt, r.Err)
	if r.Outcome == broker.Held && want == broker.Taken { // by itself
		return
	}
	require.Equal(rt, want, r.Outcome)
	if want == broker.Made {
		m.tasks[id] = &modelTask{state: state, runs: "1"}
	}
}

// fetch takes the next task. One that is revoked ends, as the mux has it, without running.
func (m *revokeModel) fetch(rt *rapid.T) {
	if len(m.ids("pending")) == 0 {
		rt.Skip()
	}
	_, id, ok := m.w.Next()
	require.True(rt, ok)
	t := m.tasks[id]
	require.NotNil(rt, t, "task %s is nobody's", id)
	require.Equal(rt, "pending", t.state, "task %s runs", id)
	_, revoked := m.w.Delivery("q", id).Revoked()
	require.Equal(rt, t.revoked, revoked, "task %s is revoked", id)
	t.state = "active"
	if revoked {
		m.complete(rt, id, broker.RevokedPrefix+"x")
	}
}

func (m *revokeModel) complete(rt *rapid.T, id, result string) {
	m.w.Delivery("q", id).Keep([]byte(result))
	msg, err := m.b.Redis().HGet(context.Background(), brokertest.Key("q", "t:"+id), "msg").Result()
	require.NoError(rt, err)
	p := "asynq:{q}:"
	keys := []string{p + "active", p + "lease", p + "completed", p + "t:" + id, p + "processed:2026-01-02", p + "processed"}
	if unique := m.b.Redis().HGet(context.Background(), brokertest.Key("q", "t:"+id), "unique_key").Val(); unique != "" {
		keys = append(keys, unique)
	}
	until := time.Now().Add(time.Hour).Unix()
	require.NoError(rt, m.w.EvalSha(context.Background(), "complete", keys, id, until, until, msg, int64(1<<62)).Err())
	m.tasks[id].state, m.tasks[id].result = "completed", result == "1"
}

// finish ends a running task in one of the ways.
func (m *revokeModel) finish(rt *rapid.T) {
	id := draw(rt, m.ids("active"))
	t, p := m.tasks[id], "asynq:{q}:"
	end := func(keys []string, args ...any) {
		require.NoError(rt, m.w.EvalSha(context.Background(), "end", keys, append([]any{id}, args...)...).Err())
	}
	moved := func(to string, args ...any) { // as asynq's retry and archive
		keys := []string{p + "t:" + id, p + "active", p + "lease", p + to, p + "processed:x", p + "failed:x", p + "processed", p + "failed"}
		if to == "archived" {
			keys = append(keys, p+"t:")
		}
		msg, err := m.b.Redis().HGet(context.Background(), brokertest.Key("q", "t:"+id), "msg").Result()
		require.NoError(rt, err)
		end(keys, append([]any{msg}, args...)...)
		t.state = to
	}
	now := time.Now().Unix()
	switch rapid.SampledFrom([]string{"well", "retry", "archived", "requeue"}).Draw(rt, "end") {
	case "well":
		m.complete(rt, id, "1")
	case "retry":
		moved("retry", now, now+3600, true, int64(math.MaxInt64))
	case "archived":
		moved("archived", now, now-3600, 10_000, now+3600, int64(math.MaxInt64))
	case "requeue":
		end([]string{p + "active", p + "lease", p + "pending", p + "t:" + id})
		t.state = "pending"
	}
}

// forward makes all delayed tasks pending.
func (m *revokeModel) forward(rt *rapid.T) {
	if len(m.ids("scheduled", "retry")) == 0 {
		rt.Skip()
	}
	m.second++
	for _, set := range []string{"scheduled", "retry"} {
		keys := []string{brokertest.Key("q", set), brokertest.Key("q", "pending")}
		require.NoError(rt, m.w.EvalSha(context.Background(), "forward", keys, m.second, brokertest.Key("q", "t:"), m.second*1e9, brokertest.Key("q", "g:")).Err())
		for _, id := range m.ids(set) {
			m.tasks[id].state = "pending"
		}
	}
}

func (m *revokeModel) revoke(rt *rapid.T) {
	id := draw(rt, slices.Sorted(maps.Keys(m.tasks)))
	got, err := m.b.Revoke(context.Background(), "q", id, "x", rapid.Bool().Draw(rt, "terminate"))
	require.NoError(rt, err)
	require.Equal(rt, m.revoked(id), got.Outcome, "task %s", id)
}

// revoked notes that the task was revoked, and what came of that.
func (m *revokeModel) revoked(id string) broker.RevokeOutcome {
	switch t := m.tasks[id]; t.state {
	case "":
		return broker.Absent
	case "active":
		t.revoked = true
		return broker.Running
	case "archived":
		return broker.EndedBefore
	case "completed":
		if t.result {
			return broker.EndedBefore
		}
		return broker.RevokedAlready
	default:
		t.state, t.revoked = "completed", true
		return broker.Revoked
	}
}

func (m *revokeModel) revokeTag(rt *rapid.T) {
	var want broker.RevokedTag
	for _, id := range m.ids("pending", "scheduled", "retry", "active") {
		if !m.b.Redis().SIsMember(context.Background(), "paidui:{q}:tag:a", id).Val() {
			continue
		}
		if m.revoked(id) == broker.Running {
			want.Running++
		} else {
			want.Revoked++
		}
	}
	got, err := m.b.RevokeTag(context.Background(), "a", "x", false, nil)
	require.NoError(rt, err)
	require.Equal(rt, want, got)
}

func (m *revokeModel) rerun(rt *rapid.T) {
	id := draw(rt, slices.Sorted(maps.Keys(m.tasks)))
	t := m.tasks[id]
	want := broker.Fresh
	switch {
	case t.state == "":
		want = broker.NoTask
	case t.state == "active":
		want = broker.Started
	case t.state == "completed" && t.result:
		want = broker.Succeeded
	case t.state == "pending" && !t.revoked:
		want = broker.Waiting
	case (t.state == "scheduled" || t.state == "retry") && !t.revoked:
		want = broker.Sooner
	}
	got, err := m.b.Rerun(context.Background(), "q", id, brokertest.NextRun)
	require.NoError(rt, err)
	require.Equal(rt, want, got)
	if got == broker.Fresh || got == broker.Sooner {
		m.again(t, got == broker.Fresh)
	}
}

func (m *revokeModel) again(t *modelTask, fresh bool) {
	t.state, t.revoked = "pending", false
	if fresh {
		n, _ := strconv.Atoi(t.runs)
		t.runs = strconv.Itoa(n + 1)
	}
}

func (m *revokeModel) rerunDead(rt *rapid.T) {
	dead := m.ids("archived")
	n, err := m.b.RerunDead(context.Background(), "q", brokertest.NextRun, nil)
	require.NoError(rt, err)
	require.Equal(rt, len(dead), n)
	for _, id := range dead {
		m.again(m.tasks[id], true)
	}
}

func (m *revokeModel) forget(rt *rapid.T) {
	id := draw(rt, slices.Sorted(maps.Keys(m.tasks)))
	got, err := m.b.Forget(context.Background(), "q", id)
	require.NoError(rt, err)
	require.Equal(rt, m.tasks[id].state, got)
	if got == "completed" || got == "archived" {
		m.tasks[id].state = ""
	}
}

// check holds Redis against the model.
func (m *revokeModel) check(rt *rapid.T) {
	ids := slices.Sorted(maps.Keys(m.tasks))
	refs := make([]broker.Ref, len(ids))
	for i, id := range ids {
		refs[i] = broker.Ref{Queue: "q", ID: id}
	}
	found, err := m.b.FindMany(context.Background(), refs)
	require.NoError(rt, err)
	for i, id := range ids {
		want := m.tasks[id]
		if want.state == "" {
			require.Nil(rt, found[i], "task %s", id)
			continue
		}
		require.NotNil(rt, found[i], "task %s", id)
		require.Equal(rt, []string{want.state, want.runs}, []string{found[i].State, max(found[i].Headers["run"], "1")}, "task %s", id)
	}
}

// TestRevokedTasksDoNotRun interleaves whatever may happen to tasks: a revoked one does not run unless it is run again by
// hand, none is in two places, none is lost, and none runs that is not there.
func TestRevokedTasksDoNotRun(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.OpenWith(t, url, broker.Options{NoPipelining: true}) // nothing is fetched ahead
		rapid.Check(t, func(rt *rapid.T) {
			require.NoError(rt, b.Redis().FlushDB(context.Background()).Err())
			require.NoError(rt, b.Redis().SAdd(context.Background(), "asynq:queues", "q").Err())
			m := &revokeModel{b: b, tasks: make(map[string]*modelTask), second: time.Now().Add(2 * time.Hour).Unix()}
			m.w = brokertest.NewWorkerWith(t, b, fetch.Config{Queues: map[string]int{"q": 1}, Slots: 1})
			defer m.w.Stop()
			rt.Repeat(map[string]func(*rapid.T){
				"":          m.check,
				"enqueue":   m.enqueue,
				"fetch":     m.fetch,
				"finish":    m.finish,
				"forward":   m.forward,
				"revoke":    m.revoke,
				"revokeTag": m.revokeTag,
				"rerun":     m.rerun,
				"rerunDead": m.rerunDead,
				"forget":    m.forget,
			})
			brokertest.RequireSound(t, b.Redis(), slices.Sorted(maps.Keys(m.tasks))...)
		})
	})
}
