package ctl

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const dryRunJSON = `{"dry_run":true,"matched":250,"more":false,"examples":[`

func bulkJSON(state, more string) string {
	return `{"id":"b-1","action":"retry","filter":{"state":"FAILURE"},"by":"alice","state":"` + state + `","looked_at":250,"done":240,"skipped":10,"failed":0,
		"started_at":"2026-12-01T11:59:57Z","finished_at":"2026-12-01T12:00:00Z","error":"","failures":[]` + more + `}`
}

func fakeBulk(t *testing.T) *fakeAPI {
	looks := 0
	return newFakeAPI(t).
		on("POST /v1/bulk", func(r request) answer {
			if strings.Contains(r.body, `"dry_run":true`) {
				return answer{data: dryRunJSON + taskJSON("t-1", "FAILURE", "") + `]}`}
			}
			return answer{data: `{"id":"b-1","dry_run":false}`, taskID: "b-1"}
		}).
		on("GET /v1/bulk/b-1", func(request) answer {
			if looks++; looks == 1 {
				return answer{data: bulkJSON("STARTED", "")}
			}
			return answer{data: bulkJSON("SUCCESS", "")}
		})
}

func TestBulkAsksFirst(t *testing.T) {
	t.Parallel()
	f := fakeBulk(t)
	retry := []string{"ctl", "bulk", "retry", "--state", "FAILURE", "--error-group", "0123456789abcdef"}
	r := f.shell().run(t, append(retry, "--dry-run")...)
	require.Contains(t, r.ok(t), "t-1  demo.add")
	require.Contains(t, r.out, "would retry 250 tasks; these are the first 1\n")
	r = f.shell().run(t, retry...)
	require.Equal(t, 2, r.status)
	require.Contains(t, r.err, "Retrying 250 tasks?")
	require.Contains(t, r.err, "t-1  demo.add")
	require.Len(t, f.got(), 2, "nothing but dry runs")

	asked := f.shell()
	asked.terminal, asked.in, asked.width = true, "y\n", 100
	r = asked.run(t, retry...)
	require.Contains(t, r.ok(t), "done    240, skipped 10, failed 0, of 250 looked at\n")
	require.Contains(t, r.err, "retrying ████████████████████████ 100%  250 of 250")
	require.Contains(t, f.got(), `POST /v1/bulk {"filter":{"state":"FAILURE","error_group":"0123456789abcdef"},"action":"retry"}`)
}

func TestBulkActions(t *testing.T) {
	t.Parallel()
	f := fakeBulk(t)
	require.Equal(t, "b-1\n", f.shell().run(t, "ctl", "bulk", "priority", "--queue", "default", "--to", "low", "--yes", "--no-wait").ok(t))
	f.shell().run(t, "ctl", "bulk", "priority", "--all", "--to", "high", "--yes", "--no-wait").ok(t)
	f.shell().run(t, "ctl", "bulk", "revoke", "--tag", "a", "--terminate", "--yes", "--no-wait").ok(t)
	require.Contains(t, f.got(), `POST /v1/bulk {"filter":{"tag":"a"},"action":"revoke","terminate":true}`)
	require.Contains(t, f.got(), `POST /v1/bulk {"filter":{"queue":"default"},"action":"priority","priority":"low"}`)
	require.Contains(t, f.got(), `POST /v1/bulk {"filter":{"all":true},"action":"priority","priority":"high"}`)
	for _, wrong := range [][]string{{"retry"}, {"move", "--queue", "a"}, {"priority", "--all"}, {"revoke", "--state", "x"}, {"delete", "id"}} {
		require.Equal(t, 2, f.shell().run(t, append([]string{"ctl", "bulk"}, wrong...)...).status, wrong)
	}
	f.on("POST /v1/bulk", data(`{"dry_run":true,"matched":0,"more":false,"examples":[]}`))
	require.Equal(t, "no task matches: there is nothing to do\n", f.shell().run(t, "ctl", "bulk", "retry", "--task", "x").ok(t))
}

func TestBulkThatEndsBadly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		status int
		says   string
	}{
		"some failed": {strings.Replace(bulkJSON("SUCCESS", ""), `"failed":0`, `"failed":3`, 1), 1, "3 of them failed"},
		"failed":      {strings.Replace(bulkJSON("FAILURE", ""), `"error":""`, `"error":"no database"`, 1), 1, "the bulk failed: no database"},
		"stopped":     {bulkJSON("REVOKED", ""), 6, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t).on("GET /v1/bulk/b-1", data(c.answer))
			r := f.shell().run(t, "ctl", "bulk", "follow", "b-1")
			require.Equal(t, c.status, r.status)
			require.Contains(t, r.err, c.says)
		})
	}
	f := newFakeAPI(t).on("DELETE /v1/bulk/b-1", func(request) answer { return answer{msg: "it stops", data: bulkJSON("STARTED", "")} })
	require.Equal(t, "b-1: it stops\n", f.shell().run(t, "ctl", "bulk", "stop", "b-1").ok(t))
	require.Equal(t, 3, f.shell().run(t, "ctl", "bulk", "show", "b-2").status)
}

func TestBulkGoesOnWithoutItsCommand(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := fakeBulk(t).on("GET /v1/bulk/b-1", func(request) answer {
		cancel()
		return answer{data: bulkJSON("STARTED", "")}
	})
	s := f.shell()
	s.ctx = ctx
	r := s.run(t, "ctl", "bulk", "retry", "--state", "FAILURE", "--yes")
	require.Equal(t, 130, r.status)
	require.Contains(t, r.err, "bulk b-1 goes on: paidui ctl bulk follow b-1 looks on again, and bulk stop ends it")
}

func TestFailures(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).on("GET /v1/failures", data(`{"failures":[{"error_group":"0123456789abcdef","error":"dial tcp …: refused","count":1234,"first_seen":"2026-12-01T09:00:00Z",
		"last_seen":"2026-12-01T11:59:00Z","tasks":[{"task":"sms.send","count":1200},{"task":"demo.add","count":34}],"versions":[{"version":"v1","count":1234}],"example":null}],"next_cursor":null}`))
	require.Equal(t, `GROUP             COUNT  FIRST  LAST  TASKS                      VERSIONS  ERROR
0123456789abcdef  1,234     3h    1m  sms.send:1200 demo.add:34  v1:1234   dial tcp …: refused
`, f.shell().run(t, "ctl", "failures", "--window", "7d").ok(t))
	require.Equal(t, []string{"GET /v1/failures?limit=20&window=168h"}, f.got())
	r := newFakeAPI(t).shell().run(t, "ctl", "failures")
	require.Equal(t, 3, r.status)
	require.Contains(t, r.err, "has no failures: it is of an earlier version")
}

func TestAudit(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).on("GET /v1/audit", data(`{"acts":[{"id":4,"at":"2026-12-01T11:58:42Z","who":"wall","role":"observer","what":"POST /v1/queues/:name/pause","subject":"default",
		"outcome":"refused","status":403,"code":403,"message":"an observer may look","request_id":"r","address":"127.0.0.1","duration_ms":0.068}],"next_cursor":null}`))
	out := f.shell().run(t, "ctl", "audit", "--who", "wall", "--what", "POST", "--subject", "default", "--since", "24h", "--until", "now").ok(t)
	require.Contains(t, out, "wall  observer  POST /v1/queues/:name/pause  default  refused  127.0.0.1  403: an observer may look\n")
	require.Equal(t, []string{"GET /v1/audit?from=2026-11-30T12%3A00%3A00Z&limit=50&subject=default&to=2026-12-01T12%3A00%3A00Z&what=POST&who=wall"}, f.got())
}
