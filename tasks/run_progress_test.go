package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// reporting runs h as a handler on d.
func reporting(t *testing.T, d *fakeDelivery, h func(ctx context.Context)) {
	t.Helper()
	m := fakeMux(d, MuxOptions{})
	job(t, m, func(ctx context.Context) (string, error) {
		h(ctx)
		return "", nil
	})
	require.NoError(t, process(t.Context(), m, nil))
}

func TestProgressFromATightLoop(t *testing.T) {
	t.Parallel()
	d := newFake()
	const span = 700 * time.Millisecond
	var took time.Duration
	reporting(t, d, func(ctx context.Context) {
		begun := time.Now()
		n := int64(0)
		for ; time.Since(begun) < span; n++ {
			require.NoError(t, Progress(ctx, n, 0, "counting"))
		}
		require.NoError(t, Progress(ctx, n, n, "all"))
		require.Eventually(t, func() bool { // nothing comes after it, and it is stored all the same
			all := d.reported()
			return strings.Contains(all[len(all)-1], `"note":"all"`)
		}, 20*time.Second, time.Millisecond)
		took = time.Since(begun)
	})
	all := d.reported()
	require.GreaterOrEqual(t, len(all), 2)
	require.LessOrEqual(t, len(all), int(took/progressEvery)+1, "five a second")
	last := int64(-1)
	for _, text := range all {
		var r struct {
			Done, Total int64
			Note        string
			At          time.Time
		}
		require.NoError(t, json.Unmarshal([]byte(text), &r))
		require.Greater(t, r.Done, last, "never backwards")
		require.WithinDuration(t, time.Now(), r.At, time.Minute)
		last = r.Done
	}
}

func TestFirstProgressIsStoredAtOnce(t *testing.T) {
	t.Parallel()
	d := newFake()
	reporting(t, d, func(ctx context.Context) {
		begun := time.Now()
		require.NoError(t, Progress(ctx, 1, 3, `a "note"`))
		require.Eventually(t, func() bool { return len(d.reported()) == 1 }, 20*time.Second, time.Millisecond)
		if took := time.Since(begun); took > progressEvery {
			t.Logf("a busy machine: %v", took)
		}
	})
	require.Contains(t, d.reported()[0], `{"done":1,"total":3,"note":"a \"note\"","at":"`)
}

func TestLastProgressIsStoredAtTheEnd(t *testing.T) {
	t.Parallel()
	d := newFake()
	var kept context.Context
	reporting(t, d, func(ctx context.Context) {
		kept = ctx
		require.NoError(t, Progress(ctx, 1, 3, ""))
		require.Eventually(t, func() bool { return len(d.reported()) == 1 }, 20*time.Second, time.Millisecond)
		require.NoError(t, Progress(ctx, 2, 3, ""))
		require.NoError(t, Progress(ctx, 3, 3, "")) // the timer is running at the end
	})
	require.Len(t, d.reported(), 2)
	require.Contains(t, d.reported()[1], `{"done":3,"total":3,`)
	require.ErrorIs(t, Progress(kept, 3, 3, ""), ErrFenced)
	<-time.After(2 * progressEvery)
	require.Len(t, d.reported(), 2, "and none after it")
}

func TestQuickTasksKeepTheirLastProgress(t *testing.T) {
	t.Parallel()
	for range 200 {
		d := newFake()
		reporting(t, d, func(ctx context.Context) {
			require.NoError(t, Progress(ctx, 0, 5, ""))
			require.NoError(t, Progress(ctx, 5, 5, ""))
		})
		all := d.reported()
		require.Contains(t, all[len(all)-1], `{"done":5,"total":5,`)
	}
}

func TestProgressFromManyGoroutines(t *testing.T) {
	t.Parallel()
	d := newFake()
	reporting(t, d, func(ctx context.Context) {
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for n := range int64(2000) {
					if err := Progress(ctx, n, 2000, "x"); err != nil {
						t.Errorf("goroutine %d: %v", g, err)
						return
					}
				}
			})
		}
		all.Wait()
	})
	require.LessOrEqual(t, len(d.reported()), 100)
}

func TestProgressLearnsOfTheFence(t *testing.T) {
	t.Parallel()
	d := newFake()
	d.refuseAll(ErrFenced)
	reporting(t, d, func(ctx context.Context) {
		require.NoError(t, Progress(ctx, 1, 3, ""), "nobody knows yet")
		require.Eventually(t, func() bool { return errors.Is(Progress(ctx, 2, 3, ""), ErrFenced) }, 20*time.Second, time.Millisecond)
		require.ErrorIs(t, Current(ctx).MayWrite(ctx), ErrFenced)
	})
}

func TestProgressOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	d := newFake()
	d.refuseAll(errors.New("no route to host"))
	reporting(t, d, func(ctx context.Context) {
		require.NoError(t, Progress(ctx, 1, 3, ""))
		<-time.After(progressEvery / 2)
		require.NoError(t, Progress(ctx, 2, 3, ""))
		d.refuseAll(nil)
		require.Eventually(t, func() bool { return len(d.reported()) == 1 }, 20*time.Second, time.Millisecond)
	})
	require.Contains(t, d.reported()[0], `"done":2`, "the latest, by itself")
}

func TestProgressBounds(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, Progress(t.Context(), 1, 2, ""), ErrNoTask)
	reporting(t, newFake(), func(ctx context.Context) {
		for field, err := range map[string]error{
			"done":  Progress(ctx, -1, 2, ""),
			"total": Progress(ctx, 0, -2, ""),
			"note":  Progress(ctx, 0, 0, strings.Repeat("x", MaxProgressNote+1)),
		} {
			var wrong *OptionError
			require.ErrorAs(t, err, &wrong, field)
			require.Equal(t, field, wrong.Field)
		}
		require.Error(t, Progress(ctx, 3, 2, ""))
		require.NoError(t, Progress(ctx, 2, 2, strings.Repeat("x", MaxProgressNote)))
	})
}

func TestProgressIsJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := progressReport{rapid.Int64Min(0).Draw(t, "done"), rapid.Int64Min(0).Draw(t, "total"), rapid.String().Draw(t, "note")}
		var got struct {
			Done, Total int64
			Note        string
		}
		require.NoError(t, json.Unmarshal(want.encode(time.Now()), &got))
		require.Equal(t, want, progressReport{got.Done, got.Total, got.Note})
	})
}

// BenchmarkProgress is a report that comes too soon after another to be stored.
func BenchmarkProgress(b *testing.B) {
	m := fakeMux(newFake(), MuxOptions{})
	Handle(m, Define[noArgs, string]("test.job"), func(ctx context.Context, _ noArgs) (string, error) {
		b.ReportAllocs()
		n := int64(0)
		for b.Loop() {
			n++
			if err := Progress(ctx, n, 0, "a note"); err != nil {
				b.Error(err)
			}
		}
		return "", nil
	})
	if err := process(b.Context(), m, nil); err != nil {
		b.Fatal(err)
	}
}
