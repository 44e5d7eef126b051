package ctl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const entryJSON = `{"name":"nightly","source":"file","task":"reports.make","queue":"low","spec":"0 3 * * *","timezone":"Asia/Shanghai","paused":true,
	"override":{"paused":true,"changed":false,"by":"alice","at":"2026-12-01T10:00:00Z"},"overlap":"skip","next_tick":"2026-12-01T19:00:00Z","last_tick":"2026-11-30T19:00:00Z","last_task_id":"n-1"}`

func TestSchedules(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).
		on("GET /v1/schedules", data(`{"schedules":[`+entryJSON+`],"next_cursor":null}`)).
		on("GET /v1/schedules/nightly", data(entryJSON))
	want := `SCHEDULE  TASK          RULE       ZONE           SOURCE  NEXT  LAST  STATE
nightly   reports.make  0 3 * * *  Asia/Shanghai  file      7h   17h  paused by alice
`
	require.Equal(t, want, f.shell().run(t, "ctl", "schedules").ok(t))
	require.Contains(t, f.shell().run(t, "ctl", "schedules", "nightly").ok(t), "overridden  the pause, by alice at ")
	f.on("GET /v1/schedules", data(`[{"name":"nightly","task":"reports.make","queue":"low","spec":"every 10s","timezone":"UTC","paused":false,"next_tick":"2026-12-01T12:00:04Z","last_tick":null,"last_task_id":""}]`))
	require.Contains(t, f.shell().run(t, "ctl", "schedules").ok(t), "nightly   reports.make  every 10s  UTC   file      4s     -\n", "an API of before")
}

func TestSchedulesAreChanged(t *testing.T) {
	t.Parallel()
	done := func(request) answer { return answer{msg: "OK", data: entryJSON} }
	f := newFakeAPI(t).on("POST /v1/schedules", done).on("PUT /v1/schedules/nightly", done).on("DELETE /v1/schedules/nightly", done).
		on("GET /v1/schedules/nightly", data(entryJSON)).
		on("POST /v1/schedules/nightly/pause", done).on("POST /v1/schedules/nightly/resume", done).
		on("POST /v1/schedules/nightly/run", func(request) answer { return answer{taskID: "n-2", data: "null"} })
	file := filepath.Join(t.TempDir(), "entry.yaml")
	require.NoError(t, os.WriteFile(file, []byte("task: reports.make\nargs: {month: last}\nevery: 1h\npaused: true\n"), 0o600))
	require.Equal(t, "nightly: OK\n", f.shell().run(t, "ctl", "schedules", "add", "nightly", "--task", "reports.make", "--cron", "0 3 * * *", "--timezone", "Asia/Shanghai",
		"--overlap", "queue", "--overlap-limit", "3", "--misfire", "once", "--anchor", "local", "--args", `{"month":"last"}`, "--max-ticks", "3").ok(t))
	f.shell().run(t, "ctl", "schedules", "change", "nightly", "--file", file, "--every", "2h", "--paused=false").ok(t)
	f.shell().run(t, "ctl", "schedules", "pause", "nightly").ok(t)
	f.shell().run(t, "ctl", "schedules", "resume", "nightly").ok(t)
	require.Equal(t, "n-2\n", f.shell().run(t, "ctl", "schedules", "run", "nightly").ok(t))
	r := f.shell().run(t, "ctl", "schedules", "delete", "nightly")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.err, "Take back what was changed of schedule nightly, so that it is as its file says?")
	f.shell().run(t, "ctl", "schedules", "delete", "nightly", "--yes").ok(t)
	require.Equal(t, []string{
		`POST /v1/schedules {"anchor":"local","args":{"month":"last"},"cron":"0 3 * * *","max_ticks":3,"misfire":"once","name":"nightly","overlap":"queue","overlap_limit":3,"task":"reports.make","timezone":"Asia/Shanghai"}`,
		`PUT /v1/schedules/nightly {"args":{"month":"last"},"every":"2h","paused":false,"task":"reports.make"}`,
		"POST /v1/schedules/nightly/pause", "POST /v1/schedules/nightly/resume", "POST /v1/schedules/nightly/run", "GET /v1/schedules/nightly", "DELETE /v1/schedules/nightly",
	}, f.got())
	require.NoError(t, os.WriteFile(file, []byte("name: other\ntask: x\n"), 0o600))
	for _, wrong := range [][]string{{"--file", file}, {"--file", file + "x"}, {"--args", "{"}, {"--max-ticks", "x"}} {
		require.Equal(t, 2, f.shell().run(t, append([]string{"ctl", "schedules", "add", "nightly"}, wrong...)...).status, wrong)
	}
	for _, content := range []string{"- a\n", "x: [", ""} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		require.Equal(t, 2, f.shell().run(t, "ctl", "schedules", "add", "nightly", "--file", file).status, content)
	}
}

func TestTicksAndPreview(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).
		on("GET /v1/schedules/nightly/ticks", data(`{"ticks":[{"due":"2026-12-01T11:00:00Z","enqueued_at":"2026-12-01T11:00:00.2Z","lateness_s":0.2,"task_id":"n-1","state":"SUCCESS","skipped":null,"manual":false},
			{"due":"2026-12-01T10:00:00Z","enqueued_at":null,"lateness_s":null,"task_id":"","state":"","skipped":"misfire","ticks":5,"manual":false},
			{"due":"2026-12-01T09:30:00Z","enqueued_at":"2026-12-01T09:30:00Z","lateness_s":0,"task_id":"n-0","state":"FAILURE","skipped":null,"manual":true}],"next_cursor":null}`)).
		on("POST /v1/schedules/preview", data(`{"ticks":["2027-03-27T02:30:00+01:00","2027-03-28T03:30:00+02:00"],"changes":[{"at":"2027-03-28T03:00:00+02:00","from_offset":"+01:00","to_offset":"+02:00"}],"words":"at 02:30 each day"}`))
	out := f.shell().run(t, "ctl", "schedules", "ticks", "nightly").ok(t)
	require.Contains(t, out, "200ms  SUCCESS  n-1\n")
	require.Contains(t, out, "skipped: misfire, 5 ticks\n")
	require.Contains(t, out, "FAILURE  n-0   by hand\n")
	out = f.shell().run(t, "ctl", "schedules", "preview", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--count", "2").ok(t)
	lines := strings.Split(out, "\n")
	require.Equal(t, "at 02:30 each day", lines[0])
	require.Contains(t, lines[1], "Sat 2027-03-27 02:30:00 +01:00  in 11")
	require.Equal(t, "  2027-03-28 03:00:00 +02:00  the zone's time changes from +01:00 to +02:00", lines[2])
	require.Contains(t, lines[3], "Sun 2027-03-28 03:30:00 +02:00")
	require.Contains(t, f.got(), `POST /v1/schedules/preview {"count":2,"cron":"30 2 * * *","timezone":"Europe/Berlin"}`)
	for _, wrong := range [][]string{{}, {"--cron", "* * * * *", "--every", "1s"}} {
		require.Equal(t, 2, f.shell().run(t, append([]string{"ctl", "schedules", "preview"}, wrong...)...).status, wrong)
	}
}
