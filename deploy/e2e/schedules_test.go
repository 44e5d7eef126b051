package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type scheduleShown struct {
	Name, Source, Spec string
	Paused             bool
	InForce            bool       `json:"in_force"`
	LastTick           *time.Time `json:"last_tick"`
	LastTaskID         string     `json:"last_task_id"`
	Override           *struct{ By string }
}

// TestSchedulesAreChangedWhileTheyRun: two schedulers follow what one API is told, and what one of them was at when it is killed is
// done by the other.
func TestSchedulesAreChangedWhileTheyRun(t *testing.T) {
	c := startCluster(t)
	base := c.api(0) + "/v1/schedules"
	one := func(name string) (s scheduleShown) {
		must(t, http.MethodGet, c.api(1)+"/v1/schedules/"+name, operatorKey, nil).into(t, &s)
		return s
	}
	await := func(what string, is func() bool) {
		t.Helper()
		require.Eventually(t, is, time.Minute, 20*time.Millisecond, what)
	}
	ticked := func(name string) {
		t.Helper()
		var before time.Time
		if s := one(name); s.LastTick != nil {
			before = *s.LastTick
		}
		await(name+" ticks", func() bool { s := one(name); return s.LastTick != nil && s.LastTick.After(before) })
	}
	ticked("every-second")

	entry := map[string]any{"name": "mine", "task": "demo.low", "args": map[string]int{"n": 5, "m": 2}, "every": "1s", "overlap": "skip"}
	must(t, http.MethodPost, base, operatorKey, entry)
	await("it is in force", func() bool { return one("mine").InForce })
	ticked("mine")
	var task struct {
		State  string
		Result int
	}
	must(t, http.MethodGet, c.api(0)+"/v1/tasks/"+one("mine").LastTaskID+"?wait=30s", operatorKey, nil).into(t, &task)
	require.Equal(t, "SUCCESS", task.State)

	must(t, http.MethodPost, base+"/mine/pause", operatorKey, nil)
	must(t, http.MethodPost, base+"/every-second/pause", operatorKey, nil)
	for _, name := range []string{"mine", "every-second"} {
		await(name+" is paused", func() bool { s := one(name); return s.InForce && s.Paused })
	}
	require.Equal(t, "operator", one("every-second").Override.By)

	// The one that is left runs it now, resumes it, and follows changes.
	c.schedulers[0].kill(t)
	made := must(t, http.MethodPost, base+"/mine/run", operatorKey, nil)
	must(t, http.MethodGet, c.api(0)+"/v1/tasks/"+made.TaskID+"?wait=30s", operatorKey, nil).into(t, &task)
	require.Equal(t, "SUCCESS", task.State)
	must(t, http.MethodPost, base+"/mine/resume", operatorKey, nil)
	ticked("mine")
	entry["every"] = "2s"
	must(t, http.MethodPut, base+"/mine", operatorKey, entry)
	await("it is changed", func() bool { s := one("mine"); return s.InForce && s.Spec == "every 2s" })
	ticked("mine")
	var page struct {
		Ticks []struct {
			Manual  bool
			State   *string
			Skipped *string
		}
	}
	must(t, http.MethodGet, base+"/mine/ticks?limit=200", operatorKey, nil).into(t, &page)
	manual := 0
	for _, tick := range page.Ticks {
		if tick.Manual {
			manual++
		}
	}
	require.Equal(t, 1, manual)
	require.GreaterOrEqual(t, len(page.Ticks), 4)

	must(t, http.MethodDelete, base+"/mine", operatorKey, nil)
	must(t, http.MethodDelete, base+"/every-second", operatorKey, nil)
	await("the override is taken back", func() bool { s := one("every-second"); return s.InForce && !s.Paused && s.Override == nil })
	ticked("every-second")
	var list struct{ Schedules []scheduleShown }
	must(t, http.MethodGet, base, operatorKey, nil).into(t, &list)
	require.Len(t, list.Schedules, 2)
}
