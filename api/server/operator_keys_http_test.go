package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/demo"
)

var (
	asAlice = with(bearer(aliceKey))
	asWall  = with(bearer(wallKey))
)

// withKeys gives the API an operator and an observer with names.
func withKeys(o *options) {
	keys, err := server.ParseKeys("alice=operator:" + aliceKey + ",wall=observer:" + wallKey)
	if err == nil {
		o.OperatorKeys, err = server.NewOperatorKeys(keys...)
	}
	if err != nil {
		panic(err)
	}
}

func TestObserversLookAndDoNotAct(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, withKeys)
	body := map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}}
	made := s.Post("/v1/tasks", body, asAlice)
	require.Equal(t, 100, made.Code)
	for _, path := range []string{"/v1/tasks", "/v1/task-types", "/v1/schedules", "/v1/queues/default/dead"} {
		for _, who := range []with{asOperator, asAlice, asWall, bearer("root")} {
			require.Equal(t, 200, s.Get(path, who).Status, path)
		}
		require.Equal(t, 403, s.Get(path, bearer("user-ann")).Status, path)
		require.Equal(t, 401, s.Get(path).Status, path)
		require.Equal(t, 401, s.Get(path, bearer("a-guess-at-the-key")).Status, path)
	}
	for method, path := range map[string]string{"POST": "/v1/tasks", "DELETE": "/v1/tasks/" + made.TaskID} {
		var sent any
		if method == "POST" {
			sent = body
		}
		a := s.Do(method, path, sent, asWall, inEnglish)
		require.Equal(t, []any{403, "an observer may look, and not act: use an operator's key"}, []any{a.Code, a.Msg})
	}
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+made.TaskID, asWall).State)
	require.Contains(t, s.log.String(), `"observer":"wall"`)
	require.NotContains(t, s.log.String(), wallKey)
}

// TestObserversSeeNoArguments, nor what may hold them, unless they may.
func TestObserversSeeNoArguments(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{false, true} {
		s := assembleEmbedded(t, withKeys, func(o *options) { o.ObserversSeeArguments = all })
		s.fail(t, func(mux *tasks.Mux) {
			tasks.Handle(mux, demo.Add, func(ctx context.Context, a demo.AddArgs) (int, error) {
				if err := tasks.Progress(ctx, 1, 2, "secret of 4711"); err != nil {
					return 0, err
				}
				if a.N == 4712 {
					return 4713, nil
				}
				return 0, tasks.Permanent(errors.New("no 4711 here"))
			})
			tasks.Handle(mux, demo.Low, func(context.Context, demo.AddArgs) (int, error) { return 0, nil })
		})
		var ids []string
		for n := range 2 {
			made := s.Post("/v1/tasks", map[string]any{
				"task": "demo.add", "args": map[string]int{"n": 4711 + n, "m": 2}, "headers": map[string]string{"who": "4711"},
			}, asAlice)
			require.Equal(t, 100, made.Code, "%s", made.Raw)
			ids = append(ids, made.TaskID)
			require.NotEqual(t, "PENDING", s.task(t, "/v1/tasks/"+made.TaskID+"?wait=20s", asAlice).State)
		}
		records := []tasks.Record{ended("4711-is-its-id", 1, tasks.StateFailure)}
		records[0].Args, records[0].Error, records[0].Result = []byte(`{"n":4711}`), "no 4711 here", nil
		s.remember(t, records...)
		hides := func(text string) {
			t.Helper()
			if all {
				require.Contains(t, text, "471")
				return
			}
			for _, secret := range []string{`4711,`, `4711"`, `4711 `, `4711}`, "4712", "4713"} {
				require.NotContains(t, text, secret)
			}
		}
		for _, id := range ids {
			hides(string(s.Get("/v1/tasks/"+id, asWall).Data))
			hides(string(s.Get("/v1/tasks/"+id+"/events", asWall).Raw))
		}
		hides(string(s.Get("/v1/queues/default/dead", asWall).Data))
		found := string(s.Get("/v1/tasks", asWall).Data)
		hides(found)
		require.Contains(t, found, `"worker":"worker-1"`)
		require.Contains(t, found, `"id":"4711-is-its-id"`)
		seen := s.task(t, "/v1/tasks/"+ids[0], asWall, inEnglish)
		require.Equal(t, "FAILURE", seen.State)
		if !all {
			require.Equal(t, "the task failed", seen.Error)
		}
		require.Contains(t, string(s.Get("/v1/tasks/"+ids[0], asAlice).Data), "no 4711 here")
	}
}

// TestObserversSeeNoNotesOfWhatRuns: nor those that the list of workers has.
func TestObserversSeeNoNotesOfWhatRuns(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, withKeys)
	goOn := make(chan struct{})
	defer close(goOn)
	s.fail(t, func(mux *tasks.Mux) {
		tasks.Handle(mux, demo.Add, func(ctx context.Context, a demo.AddArgs) (int, error) {
			if err := tasks.Progress(ctx, 1, 2, "secret of 4711"); err != nil {
				return 0, err
			}
			select {
			case <-goOn:
			case <-ctx.Done():
			}
			return 0, nil
		})
	})
	s.enqueue(t, 1)
	require.Eventually(t, func() bool {
		return strings.Contains(string(s.Get("/v1/workers", asAlice).Data), "secret of 4711")
	}, testenv.Patience, 10*time.Millisecond, "an operator sees it")
	for _, path := range []string{"/v1/workers", "/v1/workers/test"} {
		seen := string(s.Get(path, asWall).Data)
		require.Contains(t, seen, `"done":1`)
		require.NotContains(t, seen, "4711")
	}
}
