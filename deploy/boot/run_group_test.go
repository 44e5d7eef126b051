package boot

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// journal notes what happens, in order.
type journal struct {
	mu      sync.Mutex
	entries []string
}

func (j *journal) add(entry string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, entry)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

// part runs until its context ends, and takes a while to stop.
func (j *journal) part(name string, takes time.Duration, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		j.add(name + " told: " + context.Cause(ctx).Error())
		time.Sleep(takes)
		j.add(name + " stopped")
		return err
	}
}

func newGroup(t *testing.T) (*Group, *buffer) {
	t.Helper()
	log := new(buffer)
	return NewGroup(textLogger(t, log), 10*time.Second), log
}

func TestGroupStopsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, ctx := new(journal), t.Context()
		g, log := newGroup(t)
		g.Add("http", j.part("http", 5*time.Second, nil))
		g.Add("pool", j.part("pool", 3*time.Second, context.Canceled))
		g.Add("admin", j.part("admin", 0, nil))
		ctx, cancel := context.WithCancelCause(ctx)
		time.AfterFunc(time.Minute, func() { cancel(&SignalError{Signal: 15}) })
		start := time.Now()
		require.NoError(t, g.Run(ctx))
		require.Equal(t, 68*time.Second, time.Since(start))
		require.Equal(t, []string{
			"http told: received SIGTERM", "http stopped",
			"pool told: received SIGTERM", "pool stopped",
			"admin told: received SIGTERM", "admin stopped",
		}, j.all())
		require.Contains(t, log.String(), "msg=stopped part=http took=5s")
	})
}

func TestGroupStopsWhenAPartFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"error", broken, "pool: broken pipe"},
		{"no error", nil, "pool: stopped by itself"},
		{"canceled before it was told to", context.Canceled, "pool: stopped by itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := new(journal)
				g, _ := newGroup(t)
				g.Add("http", j.part("http", time.Second, nil))
				g.Add("pool", func(context.Context) error { time.Sleep(time.Second); return c.err })
				g.Add("admin", j.part("admin", 0, nil))
				err := g.Run(t.Context())
				require.EqualError(t, err, c.want)
				if c.err == broken {
					require.ErrorIs(t, err, broken)
				}
				require.Equal(t, []string{
					"http told: context canceled", "http stopped", "admin told: context canceled", "admin stopped",
				}, j.all())
			})
		})
	}
}

func TestGroupLeavesBehindWhatDoesNotStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := new(journal)
		g, log := newGroup(t)
		g.Add("stuck", j.part("stuck", time.Minute, nil))
		g.Add("failing", j.part("failing", 0, errors.New("lost a task")))
		g.Add("admin", j.part("admin", 0, nil))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		require.EqualError(t, g.Run(ctx), "stuck: did not stop within 10s\nfailing: lost a task")
		require.Equal(t, 10*time.Second, time.Since(start))
		require.Contains(t, log.String(), `msg="did not stop in time" part=stuck`)
		time.Sleep(time.Minute)
		require.Contains(t, j.all(), "stuck stopped")
	})
}

// TestGroupEnds: a part that has done what the program is for ends all, and that is no failure.
func TestGroupEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := new(journal)
		g, _ := newGroup(t)
		g.Add("worker", func(ctx context.Context) error {
			g.End()
			g.End() // twice is safe
			<-ctx.Done()
			return nil
		})
		g.Add("admin", j.part("admin", 0, nil))
		require.NoError(t, g.Run(t.Context()))
		require.Equal(t, []string{"admin told: context canceled", "admin stopped"}, j.all())
	})
}
