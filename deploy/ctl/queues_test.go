package ctl

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/ctl/show"
)

func TestQueues(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).
		on("GET /v1/queues", data(queuesPage("null", "default", "订单"))).
		on("GET /v1/queues/default", data(queueJSON)).
		on("GET /v1/queues/pause", data(strings.Replace(queueJSON, "default", "pause", 1)))
	require.Equal(t, `QUEUE    PENDING  ACTIVE  SCHED  RETRY  DEAD  OLDEST  IN/MIN  OUT/MIN  WORKERS  PAUSED
default    1,200       4      3      0     2    70ms      42       30        0  5m by alice
订单       1,200       4      3      0     2    70ms      42       30        0  5m by alice
`, f.shell().run(t, "ctl", "queues").ok(t))
	out := f.shell().run(t, "ctl", "queues", "default").ok(t)
	require.Contains(t, out, "pending      1,200 (high 1, normal 1,199, low 0)\n")
	require.Contains(t, out, "memory       about 3.4MiB\n")
	require.Contains(t, out, "bound        5,000 pending\n")
	require.Contains(t, f.shell().run(t, "ctl", "queues", "show", "pause").ok(t), "queue        pause\n")
	require.Equal(t, strings.ReplaceAll(strings.ReplaceAll(queueJSON, "\n", ""), "\t", "")+"\n", f.shell().run(t, "ctl", "queues", "default", "--json").ok(t))

	narrow := f.shell()
	narrow.terminal, narrow.width = true, 80
	for line := range strings.Lines(narrow.run(t, "ctl", "queues").ok(t)) {
		require.LessOrEqual(t, show.Width(strings.TrimRight(line, "\n")), 80)
	}
}

func TestQueuesArePagedThrough(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).on("GET /v1/queues", func(r request) answer {
		switch {
		case strings.Contains(r.query, "cursor=two"):
			return answer{data: queuesPage("null", "c")}
		default:
			return answer{data: queuesPage(`"two"`, "a", "b")}
		}
	})
	r := f.shell().run(t, "ctl", "queues", "--limit", "2")
	require.NotContains(t, r.ok(t), "\nc ")
	require.Equal(t, "more with --all, or --cursor two\n", r.err)
	require.Contains(t, f.shell().run(t, "ctl", "queues", "--all").ok(t), "\nc ")
	require.Len(t, strings.Split(strings.TrimSpace(f.shell().run(t, "ctl", "queues", "--all", "--json").ok(t)), "\n"), 2, "a line a page")
	require.Contains(t, f.shell().run(t, "ctl", "queues", "--cursor", "two").ok(t), "\nc ")
	require.Equal(t, 2, f.shell().run(t, "ctl", "queues", "--limit", "0").status)

	f.on("GET /v1/queues", data(`{"queues":[],"next_cursor":null}`))
	r = f.shell().run(t, "ctl", "queues")
	require.Empty(t, r.ok(t))
	require.Equal(t, "no queue has had a task yet\n", r.err)
}

func TestPauseAndResumeOfQueues(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).
		on("POST /v1/queues/a/pause", func(request) answer {
			return answer{msg: "the queue is paused", data: `{"changed":true,"paused":{"since":"2026-12-01T12:00:00Z","by":"alice"}}`}
		}).
		on("POST /v1/queues/b/resume", func(request) answer { return answer{msg: "the queue runs again", data: `{"changed":true}`} })
	require.Equal(t, "a: the queue is paused (0s by alice)\n", f.shell().run(t, "ctl", "queues", "pause", "a").ok(t))
	r := f.shell().run(t, "ctl", "queues", "resume", "nosuch", "b")
	require.Equal(t, 3, r.status)
	require.Equal(t, "b: the queue runs again\n", r.out, "the others are done all the same")
	require.Contains(t, r.err, "nosuch: there is no such route (404)\n")
	require.Contains(t, r.err, "1 of 2 failed")
	require.Equal(t, 2, f.shell().run(t, "ctl", "queues", "pause").status)
}

func TestPurgeAsksFirst(t *testing.T) {
	t.Parallel()
	left := 1203
	f := newFakeAPI(t).on("POST /v1/queues/default/purge", func(r request) answer {
		switch {
		case strings.Contains(r.body, `"dry_run":true`):
			return answer{data: `{"dry_run":true,"purged":{"pending":0,"scheduled":0},"left":{"pending":1200,"scheduled":3},"more":false}`}
		case left == 1203:
			left = 203
			return answer{data: `{"dry_run":false,"purged":{"pending":1000,"scheduled":0},"left":{"pending":200,"scheduled":3},"more":true}`}
		default:
			return answer{data: `{"dry_run":false,"purged":{"pending":200,"scheduled":3},"left":{"pending":0,"scheduled":0},"more":false}`}
		}
	})
	purge := []string{"ctl", "queues", "purge", "default", "--state", "pending,scheduled"}
	dry := `POST /v1/queues/default/purge {"dry_run":true,"states":["pending","scheduled"]}`
	require.Equal(t, "would purge 1,203 tasks (1,200 pending, 3 scheduled) of queue default\n", f.shell().run(t, append(purge, "--dry-run")...).ok(t))

	r := f.shell().run(t, purge...)
	require.Equal(t, 2, r.status)
	require.Contains(t, r.err, "Purge 1,203 tasks (1,200 pending, 3 scheduled) of queue default?")
	require.Contains(t, r.err, "agree with --yes")
	asked := f.shell()
	asked.terminal, asked.in = true, "no\n"
	r = asked.run(t, purge...)
	require.Equal(t, 1, r.status)
	require.Contains(t, r.err, "[y/N] paidui: nothing was done")
	require.Equal(t, []string{dry, dry, dry}, f.got(), "nothing but dry runs")

	asked.in = "y\n"
	r = asked.run(t, purge...)
	require.Equal(t, "purged 1,203 tasks (1,200 pending, 3 scheduled) of queue default\n", r.ok(t))
	require.Contains(t, r.err, "purging default ███████████████████░░░░░  83%  1,000 of 1,203")
	require.True(t, strings.HasSuffix(r.err, "\r\x1b[K"), "the bar is gone")
	require.Len(t, f.got(), 6)

	left = 1203
	r = f.shell().run(t, append(purge, "--yes", "--json")...)
	require.Len(t, strings.Split(strings.TrimSpace(r.ok(t)), "\n"), 2)
	require.Equal(t, 2, f.shell().run(t, "ctl", "queues", "purge", "default").status)
	require.Equal(t, 2, f.shell().run(t, "ctl", "queues", "purge", "default", "--state", "active").status)
}

// TestPurgeThatBreaksOff tells what was done before.
func TestPurgeThatBreaksOff(t *testing.T) {
	t.Parallel()
	calls := 0
	f := newFakeAPI(t).on("POST /v1/queues/default/purge", func(r request) answer {
		if calls++; calls > 2 {
			return answer{status: 503, msg: "unavailable"}
		}
		return answer{data: `{"purged":{"dead":5},"left":{"dead":7},"more":true}`}
	})
	r := f.shell().run(t, "ctl", "queues", "purge", "default", "--state", "dead", "--yes")
	require.Equal(t, 4, r.status)
	require.Contains(t, r.err, "5 tasks (5 dead) of queue default were purged before this; the same command takes the rest")
}

func TestWatchRedrawsAndEndsCleanly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	f := newFakeAPI(t).on("GET /v1/queues/default", func(request) answer {
		switch calls++; calls {
		case 2:
			return answer{status: 503, msg: "away for a moment"}
		case 3:
			defer cancel()
		}
		return answer{data: queueJSON}
	})
	s := f.shell()
	s.ctx, s.terminal, s.width = ctx, true, 80
	out := s.run(t, "ctl", "queues", "default", "--watch=200ms").ok(t)
	require.GreaterOrEqual(t, strings.Count(out, "\x1b[H"), 2)
	require.Contains(t, out, "every 200ms; Ctrl-C ends\x1b[K\n")
	require.Contains(t, out, "away for a moment (503)\x1b[K\n")

	f.on("GET /v1/queues/default", func(request) answer { return answer{status: 404, msg: "no such queue"} })
	require.Equal(t, 3, f.shell().run(t, "ctl", "queues", "default", "--watch").status, "what does not get better ends it")
}
