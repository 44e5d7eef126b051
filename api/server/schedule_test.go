package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

type scheduleSeen struct {
	Name, Source, Task, Queue, Spec, Timezone, Problem string
	Paused, Shadows                                    bool
	Override                                           *struct {
		Paused  *bool
		Changed bool
		By      string
	}
	InForce    bool       `json:"in_force"`
	By         *string    `json:"changed_by"`
	Overlap    string     `json:"overlap"`
	MaxTicks   int64      `json:"max_ticks"`
	Ticks      int64      `json:"ticks"`
	NextTick   *time.Time `json:"next_tick"`
	LastTaskID string     `json:"last_task_id"`
	Entry      map[string]any
}

// scheduler announces entries of a file as a scheduler does that has a table.
func (s *system) scheduler(t *testing.T, entries ...ticks.Entry) *ticks.Store {
	t.Helper()
	store := ticks.NewStore(s.broker.Redis())
	for i := range entries {
		e := &entries[i]
		e.Source, e.Task, e.Queue, e.Spec, e.Timezone = schedule.SourceFile, "demo.add", "default", "every 1h", "UTC"
		e.Rule, e.Misfire, e.Overlap, e.Next = "every 1h", "once", "allow", time.Now().Add(time.Hour)
	}
	a, err := store.Announce(t.Context(), ticks.Plan{Hash: "h", Entries: entries, Table: ticks.TableRead}, time.Now(), false)
	require.NoError(t, err)
	require.True(t, a.InForce)
	return store
}

func (s *system) schedule(t *testing.T, name string) (v scheduleSeen) {
	t.Helper()
	a := s.On(t).Get("/v1/schedules/"+name, asOperator)
	require.Equal(t, 200, a.Status, "%s", a.Raw)
	a.Into(t, &v)
	return v
}

func TestSchedulesOfTheTable(t *testing.T) {
	t.Parallel()
	for _, s := range []*system{start(t), startEmbedded(t)} {
		s.scheduler(t, ticks.Entry{Name: "of-file", Base: "b1"})
		entry := map[string]any{"name": "report", "task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "cron": "0 8 * * 1-5", "max_ticks": 3}
		a := s.Post("/v1/schedules", entry, asOperator)
		require.Equal(t, 200, a.Status, "%s", a.Raw)
		v := s.schedule(t, "report")
		require.Equal(t, "table", v.Source)
		require.Equal(t, "0 8 * * 1-5", v.Spec)
		require.Equal(t, "UTC", v.Timezone)
		require.False(t, v.InForce)
		require.NotNil(t, v.NextTick)
		require.Equal(t, "operator", *v.By)
		require.EqualValues(t, 3, v.MaxTicks)
		require.Equal(t, map[string]any{"n": 1.0, "m": 2.0}, v.Entry["args"])
		require.Eventually(t, func() bool {
			return strings.Contains(string(s.Get("/v1/audit?subject=report", asOperator).Data), `"what":"POST /v1/schedules"`)
		}, testenv.Patience, 20*time.Millisecond, "the audit log has which one was made")

		a = s.Post("/v1/schedules", entry, asOperator)
		require.Equal(t, []any{409, "name"}, []any{a.Status, a.Field}, "%s", a.Raw)
		entry["name"] = "of-file"
		a = s.Post("/v1/schedules", entry, asOperator)
		require.Equal(t, []any{409, "name"}, []any{a.Status, a.Field}, "%s", a.Raw)

		require.Equal(t, 200, s.Post("/v1/schedules/report/pause", nil, asOperator).Status)
		require.True(t, s.schedule(t, "report").Paused)
		require.Nil(t, s.schedule(t, "report").NextTick)
		a = s.Put("/v1/schedules/report", map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "every": "1m"}, asOperator)
		require.Equal(t, 200, a.Status, "%s", a.Raw)
		v = s.schedule(t, "report")
		require.Equal(t, "every 1m", v.Spec)
		require.True(t, v.Paused, "a change leaves the pause")
		require.Equal(t, 200, s.Post("/v1/schedules/report/resume", nil, asOperator).Status)
		require.False(t, s.schedule(t, "report").Paused)

		var page struct {
			Schedules []scheduleSeen
			Next      *string `json:"next_cursor"`
		}
		s.Get("/v1/schedules?limit=1", asOperator).Into(t, &page)
		require.Equal(t, "of-file", page.Schedules[0].Name)
		s.Get("/v1/schedules?limit=1&cursor="+*page.Next, asOperator).Into(t, &page)
		require.Equal(t, "report", page.Schedules[0].Name)
		require.Nil(t, page.Next)

		require.Equal(t, 200, s.Delete("/v1/schedules/report", asOperator).Status)
		require.Equal(t, 404, s.Get("/v1/schedules/report", asOperator).Status)
		require.Equal(t, 404, s.Delete("/v1/schedules/report", asOperator).Status)
	}
}

func TestOverridesOfTheFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.scheduler(t, ticks.Entry{Name: "a", Base: "b1"}, ticks.Entry{Name: "p", Base: "b2", OwnPaused: true, Paused: true})
	require.Equal(t, 409, s.Delete("/v1/schedules/a", asOperator).Status, "there is nothing to take back")

	require.Equal(t, 200, s.Post("/v1/schedules/a/pause", nil, asOperator).Status)
	v := s.schedule(t, "a")
	require.True(t, v.Paused)
	require.Equal(t, "operator", v.Override.By)
	require.False(t, v.InForce)
	a := s.Post("/v1/schedules/a/pause", nil, asOperator, inEnglish)
	require.Equal(t, "nothing has changed", a.Msg)
	require.Equal(t, 200, s.Post("/v1/schedules/a/resume", nil, asOperator).Status)
	v = s.schedule(t, "a")
	require.False(t, v.Paused)
	require.Nil(t, v.Override)

	require.Equal(t, 200, s.Post("/v1/schedules/p/resume", nil, asOperator).Status)
	require.False(t, s.schedule(t, "p").Paused)
	require.Equal(t, 200, s.Delete("/v1/schedules/p", asOperator).Status)
	require.True(t, s.schedule(t, "p").Paused, "as the file says")

	changed := map[string]any{"task": "demo.add", "args": map[string]int{"n": 3, "m": 4}, "every": "5m", "overlap": "skip"}
	a = s.Put("/v1/schedules/a", changed, asOperator, inEnglish)
	require.Equal(t, 200, a.Status, "%s", a.Raw)
	require.Contains(t, a.Msg, "keeps only the pause")
	v = s.schedule(t, "a")
	require.True(t, v.Override.Changed)
	require.Equal(t, []string{"file", "every 5m", "skip"}, []string{v.Source, v.Spec, v.Overlap})
	require.Equal(t, 200, s.Post("/v1/schedules/a/pause", nil, asOperator).Status)
	require.True(t, s.schedule(t, "a").Override.Changed, "a pause leaves the change")
	a = s.Delete("/v1/schedules/a", asOperator, inEnglish)
	require.Contains(t, a.Msg, "taken back")
	v = s.schedule(t, "a")
	require.Equal(t, []any{"every 1h", false}, []any{v.Spec, v.Paused})
	require.Nil(t, v.Override)
}

// TestSchedulersOfTheBuildBefore: what they announce has no base, so that nothing could be held against a change.
func TestSchedulersOfTheBuildBefore(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, err := ticks.NewStore(s.broker.Redis()).Announce(t.Context(), ticks.Plan{
		Hash: "1", Entries: []ticks.Entry{{Name: "a", Task: "demo.add", Queue: "low", Spec: "every 10s", Timezone: "UTC"}},
	}, time.Now(), false)
	require.NoError(t, err)
	a := s.Post("/v1/schedules/a/pause", nil, asOperator, inEnglish)
	require.Equal(t, []any{409, "name"}, []any{a.Status, a.Field})
	require.Contains(t, a.Msg, "earlier build")
}

func TestChangesNeedADatabase(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *options) { o.Schedules = nil })
	s.scheduler(t, ticks.Entry{Name: "a", Base: "b1"})
	require.Len(t, s.schedule(t, "a").Name, 1)
	for _, a := range []answer{
		s.Post("/v1/schedules", map[string]any{"name": "x", "task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "every": "1m"}, asOperator, inEnglish),
		s.Post("/v1/schedules/a/pause", nil, asOperator, inEnglish),
		s.Delete("/v1/schedules/a", asOperator, inEnglish),
	} {
		require.Equal(t, 501, a.Status)
		require.Contains(t, a.Msg, "PAIDUI_DATABASE_URL")
	}
}

// TestSchedulesWithoutTheirTable: while the database is away they are listed as schedulers know them, and changes are a 503.
func TestSchedulesWithoutTheirTable(t *testing.T) {
	t.Parallel()
	s := startAway(t)
	s.scheduler(t, ticks.Entry{Name: "a", Base: "b1"})
	require.Equal(t, "every 1h", s.schedule(t, "a").Spec)
	a := s.Get("/v1/schedules", asOperator)
	require.Equal(t, 200, a.Status)
	for _, a := range []answer{s.Post("/v1/schedules/a/pause", nil, asOperator), s.Delete("/v1/schedules/a", asOperator)} {
		require.Equal(t, 503, a.Status, "%s", a.Raw)
	}
}

func startAway(t *testing.T) *system {
	t.Helper()
	return assembleEmbedded(t, func(o *options) {
		o.Schedules = schedule.NewLateTable(func(ctx context.Context) (*gorm.DB, error) {
			return models.Open(ctx, "mysql://root@127.0.0.1:1/none", models.Options{})
		})
	})
}

func TestBadSchedules(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.scheduler(t, ticks.Entry{Name: "a", Base: "b1"})
	before := s.contents(t)
	entry := func(more string) string {
		return `{"name":"x","task":"demo.add","args":{"n":1,"m":2}` + more + `}`
	}
	for _, c := range []struct {
		body  string
		field string
	}{
		{`{}`, "name"},
		{entry(``), "cron"},
		{entry(`,"every":"1m","cron":"@daily"`), "cron"},
		{entry(`,"cron":"0 0 30 2 *"`), "cron"},
		{entry(`,"cron":"61 * * * *"`), "cron"},
		{entry(`,"every":"500ms"`), "every"},
		{entry(`,"every":"9000h"`), "every"},
		{entry(`,"every":"1m","timezone":"Mars/Olympus"`), "timezone"},
		{entry(`,"at":"2001-01-01T00:00:00Z"`), "at"},
		{entry(`,"at":"soon"`), "at"},
		{entry(`,"at":"2199-01-01T00:00:00Z","max_ticks":1`), "max_ticks"},
		{entry(`,"every":"1m","until":"2001-01-01T00:00:00Z"`), "until"},
		{entry(`,"cron":"@yearly","from":"2101-02-01T00:00:00Z","until":"2101-03-01T00:00:00Z"`), "until"},
		{entry(`,"every":"1m","from":"2101-02-01","until":"2101-01-01"`), "until"},
		{entry(`,"every":"1m","jitter":"1m"`), "jitter"},
		{entry(`,"every":"1m","overlap":"queue"`), "overlap_limit"},
		{entry(`,"every":"1m","overlap":"queue","overlap_limit":0`), "overlap_limit"},
		{entry(`,"every":"1m","overlap":"queue","overlap_limit":1001`), "overlap_limit"},
		{entry(`,"every":"1m","overlap":"never"`), "overlap"},
		{entry(`,"every":"1m","overlap_limit":3`), "overlap_limit"},
		{entry(`,"every":"1m","max_ticks":0`), "max_ticks"},
		{entry(`,"every":"7h","anchor":"local"`), "anchor"},
		{entry(`,"cron":"@daily","anchor":"local"`), "anchor"},
		{entry(`,"every":"1m","colour":"red"`), "colour"},
		{entry(`,"every":"1m","queue":null`), "queue"},
		{entry(`,"every":"1m","timeout":"-1s"`), "timeout"},
		{entry(`,"every":"1m","every":"2m"`), "every"},
		{`{"name":"x","task":"no.such","every":"1m"}`, "task"},
		{`{"name":"x","task":"demo.add","every":"1m","args":{"n":"one","m":2}}`, "args.n"},
		{`{"name":"no spaces","task":"demo.add","every":"1m","args":{"n":1,"m":2}}`, "name"},
		{`{"name":"..","task":"demo.add","every":"1m","args":{"n":1,"m":2}}`, "name"},
	} {
		a := s.Post("/v1/schedules", c.body, asOperator, inEnglish)
		require.Equal(t, []any{400, c.field}, []any{a.Status, a.Field}, "%s: %s", c.body, a.Raw)
	}
	for _, path := range []string{"/v1/schedules/none", "/v1/schedules/none/ticks"} {
		a := s.Get(path, asOperator)
		require.Equal(t, []any{404, "name"}, []any{a.Status, a.Field})
	}
	for _, act := range []string{"pause", "resume", "run"} {
		a := s.Post("/v1/schedules/none/"+act, nil, asOperator)
		require.Equal(t, []any{404, "name"}, []any{a.Status, a.Field})
	}
	a := s.Put("/v1/schedules/a", `{"name":"b","task":"demo.add","args":{"n":1,"m":2},"every":"1m"}`, asOperator)
	require.Equal(t, []any{400, "name"}, []any{a.Status, a.Field})
	a = s.Get("/v1/schedules/a/ticks?cursor=zz", asOperator)
	require.Equal(t, []any{400, "cursor"}, []any{a.Status, a.Field})
	require.Equal(t, before, s.contents(t), "nothing is made")
}

func TestAScheduleIsRunNow(t *testing.T) {
	t.Parallel()
	s := start(t)
	store := s.scheduler(t, ticks.Entry{Name: "a", Base: "b1"})
	began := time.Now()
	a := s.Post("/v1/schedules/a/run", nil, asOperator, inEnglish)
	require.Equal(t, 503, a.Status, "%s", a.Raw)
	require.Contains(t, a.Msg, "no scheduler answers")
	require.Less(t, time.Since(began), time.Minute)
	list, err := store.Requests(t.Context())
	require.NoError(t, err)
	require.Empty(t, list, "the request was withdrawn")

	// A scheduler takes it, and enqueues the task.
	made := s.Post("/v1/tasks", map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "id": "a@run-1"}, asOperator)
	require.Equal(t, 200, made.Status)
	done := make(chan error, 1)
	go func() {
		for {
			list, err := store.Requests(t.Context())
			if err == nil && len(list) == 1 {
				if _, err = store.TakeRun(t.Context(), "h", list[0]); err == nil {
					err = store.AnswerRun(t.Context(), list[0], ticks.RunAnswer{TaskID: "a@run-1"})
				}
				done <- err
				return
			}
			if err != nil {
				done <- err
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	a = s.Post("/v1/schedules/a/run", nil, asOperator)
	require.NoError(t, <-done)
	require.Equal(t, []any{200, "a@run-1"}, []any{a.Status, a.TaskID}, "%s", a.Raw)

	var page struct {
		Ticks []struct {
			Due     time.Time
			TaskID  string `json:"task_id"`
			State   *string
			Skipped *string
			Manual  bool
			Ticks   int
		}
		Next *string `json:"next_cursor"`
	}
	s.Get("/v1/schedules/a/ticks", asOperator).Into(t, &page)
	require.Len(t, page.Ticks, 1)
	require.Equal(t, "PENDING", *page.Ticks[0].State)
	require.True(t, page.Ticks[0].Manual)

	// Ticks that were left out, page by page.
	now := time.Now().Add(-time.Hour).Truncate(time.Second)
	_, err = s.broker.Redis().HSet(t.Context(), "paidui:{schedules}:entry:a", "settled", now.Add(-time.Hour).Unix()).Result()
	require.NoError(t, err)
	for i := range 5 {
		answer, _, err := store.PassOver(t.Context(), "h", "every 1h", "a", now.Add(time.Duration(i)*time.Second), time.Time{}, ticks.Passed{Why: ticks.LogMisfire, Ticks: i + 1})
		require.NoError(t, err)
		require.Equal(t, ticks.Settled, answer)
	}
	var seen []string
	path := "/v1/schedules/a/ticks?limit=2"
	for next := path; next != ""; {
		s.Get(next, asOperator).Into(t, &page)
		for _, tick := range page.Ticks {
			why := "manual"
			if tick.Skipped != nil {
				why = *tick.Skipped
			}
			seen = append(seen, fmt.Sprint(why, tick.Ticks))
		}
		next = ""
		if page.Next != nil {
			next = path + "&cursor=" + *page.Next
		}
	}
	require.Equal(t, []string{"misfire5", "misfire4", "misfire3", "misfire2", "misfire1", "manual1"}, seen)
}

func TestSchedulePreview(t *testing.T) {
	t.Parallel()
	s := start(t)
	var v struct {
		Ticks   []time.Time
		Changes []struct {
			At   time.Time
			From string `json:"from_offset"`
			To   string `json:"to_offset"`
		}
		Words string
	}
	a := s.Post("/v1/schedules/preview", map[string]any{"cron": "30 2 * * *", "timezone": "Europe/Berlin", "count": 3}, asOperator, inEnglish)
	require.Equal(t, 200, a.Status, "%s", a.Raw)
	a.Into(t, &v)
	require.Len(t, v.Ticks, 3)
	require.Len(t, v.Changes, 2)
	require.ElementsMatch(t, []string{"+01:00", "+02:00"}, []string{v.Changes[0].From, v.Changes[1].From})
	require.Equal(t, "at 02:30, every day (Europe/Berlin)", v.Words)
	a = s.Post("/v1/schedules/preview", map[string]any{"every": "90s"}, asOperator)
	a.Into(t, &v)
	require.Equal(t, "每 1 分钟 30 秒一次", v.Words)
	require.Empty(t, v.Changes, "UTC has none")
	for field, body := range map[string]string{
		"count": `{"every":"1m","count":101}`, "cron": `{"cron":"x"}`, "at": `{"at":"2001-01-01T00:00:00Z"}`, "jitter": `{"every":"1m","jitter":"5s"}`,
	} {
		a = s.Post("/v1/schedules/preview", body, asOperator)
		require.Equal(t, []any{400, field}, []any{a.Status, a.Field}, "%s", a.Raw)
	}
}

// TestObserversSeeNoArgumentsOfSchedules: neither they, nor what else may hold some.
func TestObserversSeeNoArgumentsOfSchedules(t *testing.T) {
	t.Parallel()
	s := start(t, withKeys)
	s.scheduler(t)
	a := s.Post("/v1/schedules", map[string]any{"name": "x", "task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "every": "1m",
		"headers": map[string]string{"tenant": "t1"}}, asOperator)
	require.Equal(t, 200, a.Status, "%s", a.Raw)
	var v scheduleSeen
	s.Get("/v1/schedules/x", bearer(wallKey)).Into(t, &v)
	require.NotContains(t, v.Entry, "args")
	require.NotContains(t, v.Entry, "headers")
	require.Contains(t, v.Entry, "every")
	require.Equal(t, http.StatusForbidden, s.Post("/v1/schedules/x/pause", nil, bearer(wallKey)).Status)
	require.Equal(t, 200, s.Post("/v1/schedules/preview", map[string]any{"every": "1m"}, bearer(wallKey)).Status)
}
