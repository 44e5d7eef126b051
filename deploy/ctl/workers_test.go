package ctl

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const workerJSON = `{"id":"w-1|abc","name":"w-1","host":"vm-3","pid":17,"version":"v1","since":"2026-12-01T10:00:00Z","last_seen_at":"2026-12-01T11:59:59Z",
	"phase":"serving","queues":{"low":1,"default":3},"slots":8,"running":1,"runs":[{"id":"month-09","task":"reports.monthly","queue":"default","attempt":1,
	"since":"2026-12-01T11:59:00Z","deadline":"2026-12-01T12:09:00Z","progress":{"done":2,"total":25,"note":"2026-09","at":"2026-12-01T11:59:30Z"}}],
	"task_types":["queue.check","reports.monthly"],"log_level":"info","commands":true}`

func TestWorkers(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).
		on("GET /v1/workers", data(`{"workers":[`+workerJSON+`],"next_cursor":null}`)).
		on("GET /v1/workers/w-1", data(workerJSON))
	require.Equal(t, `WORKER  HOST  PID  PHASE    RUNNING  SLOTS  UP  QUEUES           LONGEST             VERSION
w-1     vm-3   17  serving        1      8  2h  default:3,low:1  1m reports.monthly  v1
`, f.shell().run(t, "ctl", "workers").ok(t))
	out := f.shell().run(t, "ctl", "workers", "w-1").ok(t)
	require.Contains(t, out, "queues          default:3,low:1\n")
	require.Contains(t, out, `
RUNS      TASK             QUEUE    FOR  ATTEMPT  LEFT  PROGRESS
month-09  reports.monthly  default   1m        1    9m  2 of 25 (8%) 2026-09
`)
}

func TestCommandsToWorkers(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	told := func(request) answer { return answer{msg: "OK", data: workerJSON} }
	for _, verb := range []string{"resize", "queues", "log-level", "pause", "resume"} {
		f.on("POST /v1/workers/w-1/"+verb, told)
	}
	require.Equal(t, "w-1: OK; serving, 8 slots, 1 running, queues default:3,low:1\n", f.shell().run(t, "ctl", "workers", "resize", "w-1", "8").ok(t))
	f.shell().run(t, "ctl", "workers", "queues", "w-1", "default:3,low").ok(t)
	require.Equal(t, "w-1: OK; it logs from info on\n", f.shell().run(t, "ctl", "workers", "log-level", "w-1", "info", "--answer-within", "30s").ok(t))
	f.shell().run(t, "ctl", "workers", "pause", "w-1").ok(t)
	f.shell().run(t, "ctl", "workers", "resume", "w-1").ok(t)
	require.Equal(t, []string{
		`POST /v1/workers/w-1/resize?wait=10s {"concurrency":8}`,
		`POST /v1/workers/w-1/queues?wait=10s {"queues":{"default":3,"low":1}}`,
		`POST /v1/workers/w-1/log-level?wait=30s {"level":"info"}`,
		`POST /v1/workers/w-1/pause?wait=10s`,
		`POST /v1/workers/w-1/resume?wait=10s`,
	}, f.got())
	for _, wrong := range [][]string{
		{"resize", "w-1", "many"}, {"resize", "w-1"}, {"queues", "w-1", "a:0"}, {"queues", "w-1", "a,a"}, {"queues", "w-1", ","}, {"pause", "w-1", "--answer-within", "1h"},
	} {
		require.Equal(t, 2, f.shell().run(t, append([]string{"ctl", "workers"}, wrong...)...).status, wrong)
	}
}

func TestDrainOfAHost(t *testing.T) {
	t.Parallel()
	gone := 0
	f := newFakeAPI(t).
		on("GET /v1/workers", data(`{"workers":[`+workerJSON+`,`+strings.ReplaceAll(workerJSON, "w-1", "w-2")+`,`+strings.ReplaceAll(workerJSON, "vm-3", "vm-4")+`],"next_cursor":null}`)).
		on("POST /v1/workers/w-1%7Cabc/drain", func(request) answer { return answer{msg: "it drains", data: workerJSON} }).
		on("POST /v1/workers/w-2%7Cabc/drain", func(request) answer {
			return answer{msg: "it drains", data: strings.ReplaceAll(workerJSON, "w-1", "w-2")}
		}).
		on("GET /v1/workers/w-1%7Cabc", func(request) answer {
			if gone++; gone > 1 {
				return answer{status: 404, msg: "no such worker"}
			}
			return answer{data: workerJSON}
		}).
		on("GET /v1/workers/w-2%7Cabc", func(request) answer { return answer{status: 404, msg: "no such worker"} })
	r := f.shell().run(t, "ctl", "workers", "drain", "--host", "vm-3")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.err, "w-1 on vm-3: 1 running, slots 8\nw-2 on vm-3: 1 running")
	require.Contains(t, r.err, "Drain 2 workers?")
	require.Equal(t, "w-1: it drains (1 running)\nw-2: it drains (1 running)\nall have ended\n",
		f.shell().run(t, "ctl", "workers", "drain", "--host", "vm-3", "--yes", "--wait").ok(t))
	require.Equal(t, 2, gone)
	require.Equal(t, 3, f.shell().run(t, "ctl", "workers", "drain", "--host", "nowhere", "--yes").status)
	require.Equal(t, 2, f.shell().run(t, "ctl", "workers", "drain").status)

	f.on("GET /v1/workers/w-1%7Cabc", data(workerJSON))
	f.on("GET /v1/workers/w-1", data(workerJSON))
	r = f.shell().run(t, "ctl", "workers", "drain", "w-1", "--yes", "--wait", "--wait-at-most", "50ms")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.err, "1 workers have not ended within 50ms; they go on draining")
}

func TestPing(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).on("POST /v1/workers/ping", data(`{"workers":[{"id":"a|1","name":"a","round_trip_ms":1.108,"error":""},{"id":"b|2","name":"b","round_trip_ms":null,"error":"no answer"}]}`))
	r := f.shell().run(t, "ctl", "ping")
	require.Equal(t, 1, r.status)
	require.Equal(t, "WORKER  ROUND TRIP  ID   ERROR\na           1.1 ms  a|1\nb                -  b|2  no answer\n", r.out)
	require.Contains(t, r.err, "1 workers gave no answer")
}
