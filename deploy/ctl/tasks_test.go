package ctl

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func taskJSON(id, state, more string) string {
	return fmt.Sprintf(`{"id":%q,"task":"demo.add","queue":"default","state":%q,"args":{"n":1,"m":2},"result":null,"error":"","progress":null,
		"retries":1,"max_retries":3,"crashes":0,"attempts":[],"tags":["a"],"enqueued_at":"2026-12-01T11:00:00Z","started_at":"2026-12-01T11:30:00Z"%s}`, id, state, more)
}

func TestTasksAreSearched(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).on("GET /v1/tasks", data(`{"tasks":[`+taskJSON("t-1", "FAILURE", `,"error":"no\nroute \u001b[31m","last_failed_at":"2026-12-01T11:30:05Z"`)+`],"next_cursor":"more"}`))
	r := f.shell().run(t, "ctl", "tasks", "--state", "failure", "--since", "24h", "--until", "2026-12-01T12:00:00Z", "--task", "demo.add", "--queue", "default",
		"--tag", "a", "--search", "no route", "--error-group", "0123456789abcdef", "--limit", "1")
	require.Contains(t, r.ok(t), `t-1  demo.add  default  FAILURE`)
	require.Contains(t, r.out, `5s      1/3  no route \u001b[31m`)
	require.Contains(t, r.err, "--cursor more")
	require.Equal(t, []string{"GET /v1/tasks?error_group=0123456789abcdef&limit=1&q=no+route&queue=default&since=2026-11-30T12%3A00%3A00Z&state=FAILURE&tag=a&task=demo.add&until=2026-12-01T12%3A00%3A00Z"}, f.got())
	for _, wrong := range [][]string{{"--state", "DONE"}, {"--since", "whenever"}, {"--until", "-3h"}, {"--limit", "-1"}} {
		require.Equal(t, 2, f.shell().run(t, append([]string{"ctl", "tasks"}, wrong...)...).status, wrong)
	}
}

func TestASearchOfEmptyPagesGoesOn(t *testing.T) {
	t.Parallel()
	page := 0
	f := newFakeAPI(t).on("GET /v1/tasks", func(request) answer {
		if page++; page == 4 {
			return answer{data: `{"tasks":[` + taskJSON("found", "SUCCESS", "") + `],"next_cursor":null}`}
		}
		return answer{data: fmt.Sprintf(`{"tasks":[],"next_cursor":"%d"}`, page)}
	})
	require.Contains(t, f.shell().run(t, "ctl", "tasks").ok(t), "found")
	page = 4
	r := f.shell().run(t, "ctl", "tasks")
	require.Empty(t, r.ok(t))
	require.Equal(t, "none so far; the search goes on with --cursor 54\n", r.err)
}

func TestOneTask(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).on("GET /v1/tasks/a:b@c", data(taskJSON("a:b@c", "RETRY", `,"next_run_at":"2026-12-01T12:00:10Z","headers":{"x":"1"},"priority":"high",
		"attempts":[{"number":1,"worker":"w","started_at":"2026-12-01T11:30:00Z","ended_at":"2026-12-01T11:30:02Z","outcome":"retry","error":"boom"}]`)))
	out := f.shell().run(t, "ctl", "task", "a:b@c", "--wait", "5s").ok(t)
	for _, want := range []string{"queue      default (high)\n", "arguments  {\"n\":1,\"m\":2}\n", "(in 10s)\n", "headers    x: 1\n", "ATTEMPT  OUTCOME", "      1  retry", "boom"} {
		require.Contains(t, out, want)
	}
	require.Equal(t, []string{"GET /v1/tasks/a:b@c?wait=5s"}, f.got())
	require.Equal(t, 2, f.shell().run(t, "ctl", "task", "x", "--wait", "2m").status)
}

func TestWhy(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).on("GET /v1/tasks/t/why", data(`{"id":"t","task":"demo.add","queue":"default","state":"PENDING","reasons":[
		{"code":"queue_paused","subject":"default","since":"2026-12-01T11:55:00Z","until":null,"message":"queue default was paused by alice","advice":"resume it"},
		{"code":"not_due","subject":"t","since":null,"until":"2026-12-01T13:00:00Z","message":"its time has not come","advice":"","error":"boom"},
		{"code":"slots_taken","subject":"default","since":null,"until":null,"message":"all 8 slots are taken","advice":"more slots","tasks":[{"id":"x","task":"reports.make","worker":"w-1","since":"2026-12-01T11:00:00Z"}]}]}`))
	out := f.shell().run(t, "ctl", "why", "t").ok(t)
	require.Contains(t, out, `demo.add  t  in queue default  PENDING
1. queue default was paused by alice (for 5m)
   → resume it
2. its time has not come (until `)
	require.Contains(t, out, "in 1h)\n   boom\n")
	require.Contains(t, out, "     x  reports.make  on w-1  for 1h\n")
	f.on("GET /v1/tasks/t/why", data(`{"id":"t","task":"demo.add","queue":"default","state":"STARTED","reasons":[]}`))
	require.Contains(t, f.shell().run(t, "ctl", "why", "t").ok(t), "nothing keeps it from running")
}

func TestRetryAndRevoke(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).
		on("POST /v1/tasks/a/retry", func(request) answer { return answer{taskID: "a"} }).
		on("POST /v1/queues/q/retry", data(`{"retried":12}`)).
		on("DELETE /v1/tasks/a", func(request) answer {
			return answer{msg: "the task is revoked", taskID: "a", data: `{"state":"REVOKED"}`}
		}).
		on("DELETE /v1/tasks", data(`{"revoked":120,"running":4}`))
	require.Equal(t, "a\n", f.shell().run(t, "ctl", "retry", "a").ok(t))
	require.Equal(t, "{\"task_id\":\"a\",\"made\":true}\n", f.shell().run(t, "ctl", "retry", "a", "--json").ok(t))
	require.Equal(t, "12 dead letters of queue q run again\n", f.shell().run(t, "ctl", "retry", "--queue", "q").ok(t))
	require.Equal(t, "a: the task is revoked (REVOKED)\n", f.shell().run(t, "ctl", "revoke", "a", "--terminate", "--reason", "a change of mind").ok(t))
	r := f.shell().run(t, "ctl", "revoke", "--tag", "import")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.err, "Revoke all tasks with the tag import")
	require.Equal(t, "120 revoked, 4 run their last attempt\n", f.shell().run(t, "ctl", "revoke", "--tag", "import", "--yes").ok(t))
	require.Equal(t, []string{
		"POST /v1/tasks/a/retry", "POST /v1/tasks/a/retry", "POST /v1/queues/q/retry", "DELETE /v1/tasks/a?reason=a+change+of+mind&terminate=true", "DELETE /v1/tasks?tag=import",
	}, f.got())
	for _, wrong := range [][]string{{"retry"}, {"retry", "a", "--queue", "q"}, {"revoke"}, {"revoke", "a", "--tag", "x"}} {
		require.Equal(t, 2, f.shell().run(t, append([]string{"ctl"}, wrong...)...).status, wrong)
	}
}

func TestEnqueue(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).on("POST /v1/tasks", func(request) answer { return answer{taskID: "t-1"} })
	require.Equal(t, "t-1\n", f.shell().run(t, "ctl", "enqueue", "demo.add", `{"n":1}`, "--id", "t-1", "--queue", "low", "--in", "10s", "--priority", "high",
		"--max-retries", "0", "--tag", "a", "--tag", "b", "--header", "x=1=2", "--durable", "--option", `backoff={"base":"1s"}`, "--option", "history=meta").ok(t))
	piped := f.shell()
	piped.in = ` {"n": 2} `
	piped.run(t, "ctl", "enqueue", "demo.add", "-").ok(t)
	require.Equal(t, []string{
		`POST /v1/tasks {"args":{"n":1},"backoff":{"base":"1s"},"countdown":"10s","durable":true,"headers":{"x":"1=2"},"history":"meta","id":"t-1","max_retries":0,"priority":"high","queue":"low","tags":["a","b"],"task":"demo.add"}`,
		`POST /v1/tasks {"args":{"n":2},"task":"demo.add"}`,
	}, f.got())
	for _, wrong := range [][]string{{"{n}"}, {"{}", "--header", "x"}, {"{}", "--option", "x"}, {"{}", "--id", "a", "--option", "id=b"}, {"{}", "{}"}} {
		require.Equal(t, 2, f.shell().run(t, append([]string{"ctl", "enqueue", "demo.add"}, wrong...)...).status, wrong)
	}
	f.on("POST /v1/tasks", func(request) answer { return answer{code: 101, msg: "there is such a task", taskID: "t-0"} })
	r := f.shell().run(t, "ctl", "enqueue", "demo.add")
	require.Equal(t, ran{out: "t-0\n", err: "paidui: there is such a task\n", status: 1}, r)
}

func event(name, id, data string) string {
	return fmt.Sprintf("event: %s\nid: %s\ndata: %s\n\n", name, id, strings.ReplaceAll(strings.ReplaceAll(data, "\n", ""), "\t", ""))
}

func TestWatchOfATask(t *testing.T) {
	t.Parallel()
	for state, status := range map[string]int{"SUCCESS": 0, "FAILURE": 1, "REVOKED": 6, "": 7} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t).on("GET /v1/tasks/t/events", func(r request) answer {
				end := `{"state":null}`
				if state != "" {
					end = `{"state":"` + state + `"}`
				}
				r.write("retry: 2000\n" + event("state", "1", taskJSON("t", "PENDING", "")))
				r.write(": a comment\n\n" + event("state", "2", taskJSON("t", "PROGRESS", `,"progress":{"done":1,"total":4,"note":"half","at":"2026-12-01T11:00:00Z"},"worker":"w"`)))
				r.write(event("end", "3.end", end))
				return answer{stream: true}
			})
			r := f.shell().run(t, "ctl", "watch", "t")
			require.Equal(t, status, r.status, r.err)
			require.Contains(t, r.out, "  PENDING\n")
			require.Contains(t, r.out, "  PROGRESS  1 of 4 (25%) half  on w\n")
		})
	}
	f := newFakeAPI(t)
	require.Equal(t, 3, f.shell().run(t, "ctl", "watch", "nosuch").status)
}

// TestWatchComesBack: a stream that breaks is taken up where it was.
func TestWatchComesBack(t *testing.T) {
	t.Parallel()
	calls := 0
	f := newFakeAPI(t).on("GET /v1/tasks/t/events", func(r request) answer {
		if calls++; calls == 1 {
			r.write(event("state", "1", taskJSON("t", "STARTED", "")))
			return answer{stream: true}
		}
		r.write(event("state", "2", taskJSON("t", "SUCCESS", "")) + event("end", "2.end", `{"state":"SUCCESS"}`))
		return answer{stream: true}
	})
	r := f.shell().run(t, "ctl", "watch", "t", "--json")
	require.Len(t, strings.Split(strings.TrimSpace(r.ok(t)), "\n"), 3)
	require.Contains(t, r.err, "trying again")
	require.Equal(t, "1", f.requests[1].header.Get("Last-Event-ID"))
}

func TestWatchIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := newFakeAPI(t).on("GET /v1/tasks/t/events", func(r request) answer {
		r.write(event("state", "1", taskJSON("t", "STARTED", "")))
		cancel()
		return answer{stream: true}
	})
	s := f.shell()
	s.ctx = ctx
	require.Equal(t, 130, s.run(t, "ctl", "watch", "t").status)
}

func TestMoments(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"now": noon, "24h": noon.Add(-24 * time.Hour), "7d": noon.AddDate(0, 0, -7), "2026-12-01T08:00:00+08:00": noon.Add(-12 * time.Hour),
		"2026-11-30 10:00": time.Date(2026, 11, 30, 10, 0, 0, 0, time.Local),
	} {
		got, err := moment("since", text, noon)
		require.NoError(t, err, text)
		require.True(t, want.Equal(got), "%s: %s", text, got)
	}
	today, err := moment("since", "today", noon)
	require.NoError(t, err)
	require.Equal(t, "00:00:00", today.Local().Format(time.TimeOnly))
	for _, wrong := range []string{"", "soon", "-1h", "1e9d", "99999d", "2026-13-01"} {
		_, err := moment("since", wrong, noon)
		require.ErrorContains(t, err, "--since", wrong)
	}
}
