package beat

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/taskstest"
)

const (
	scheduleA     = "schedules:\n  - {name: a, task: test.noop, every: 1h}\n"
	scheduleB     = "schedules:\n  - {name: b, task: test.noop, every: 1h}\n"
	scheduleWrong = "schedules:\n  - {name: a, task: test.noop, every: 0s}\n  - {name: a, task: test.none, every: 1s}\n"
)

// replace writes a file as careful editors do.
func replace(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func TestReload(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	path := scheduleFile(t, scheduleA)
	beat := newBeat(t, b, path, newStepClock(noon))
	var log testenv.LogBuffer
	beat.watcher.logger = slog.New(slog.NewTextHandler(&log, nil))
	startReady(t, beat)
	inForce := func(names ...string) func() bool {
		return func() bool {
			list, err := beat.store.List(t.Context())
			require.NoError(t, err)
			found := []string{}
			for _, st := range list {
				found = append(found, st.Name)
			}
			return len(found) == len(names) && (len(names) == 0 || found[0] == names[0])
		}
	}
	reload := func() float64 { return testutil.ToFloat64(beat.metrics.reload) }
	require.EqualValues(t, 1, reload())

	replace(t, path, scheduleB)
	testenv.Eventually(t, inForce("b"))

	replace(t, path, scheduleWrong)
	testenv.Eventually(t, func() bool { return reload() == 0 })
	require.ErrorContains(t, beat.Ready(t.Context()), "every: 0s")
	require.ErrorContains(t, beat.Ready(t.Context()), "test.none")
	require.Contains(t, log.String(), `level=ERROR msg="the file of schedules is wrong: the last good one stays in force"`)
	require.Contains(t, log.String(), "line 2")
	require.Contains(t, log.String(), "line 3")
	require.True(t, inForce("b")())

	require.NoError(t, os.Remove(path))
	testenv.Eventually(t, func() bool { return errors.Is(beat.Ready(t.Context()), fs.ErrNotExist) })
	require.True(t, inForce("b")())

	require.NoError(t, os.WriteFile(path, []byte("# the same, in place\n"+scheduleB), 0o600))
	testenv.Eventually(t, func() bool { return beat.Ready(t.Context()) == nil })
	require.EqualValues(t, 1, reload())
	require.True(t, inForce("b")())

	replace(t, path, "schedules: []\n")
	testenv.Eventually(t, inForce())
}
