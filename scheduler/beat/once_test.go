package beat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

const everySecond = "schedules:\n  - {name: a, task: test.noop, every: 1s, misfire: all}\n"

// counter serves the queue and counts how often each task has run.
type counter struct {
	mu   sync.Mutex
	runs map[string]int
}

func serveCounting(t *testing.T, b *broker.Broker) *counter {
	t.Helper()
	return serveCountingWith(t, b, nil)
}

func serveCountingWith(t *testing.T, b *broker.Broker, client *tasks.Client) *counter {
	t.Helper()
	c := &counter{runs: map[string]int{}}
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: client})
	tasks.Handle(mux, noop, func(ctx context.Context, _ noArgs) (int, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.runs[tasks.Current(ctx).ID]++
		return 0, nil
	})
	taskstest.Serve(t, b, mux, "default")
	return c
}

// ticks lists the ticks that have run, ascending, and fails when one has run twice.
func (c *counter) ticks(t *testing.T, entry string) []time.Time {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var first, last int64
	for id, runs := range c.runs {
		require.Equal(t, 1, runs, id)
		tick, ok := tickOf(id, entry)
		require.True(t, ok, id)
		if first == 0 || tick.Unix() < first {
			first = tick.Unix()
		}
		last = max(last, tick.Unix())
	}
	list := []time.Time{}
	ran := map[int64]bool{}
	for id := range c.runs {
		tick, _ := tickOf(id, entry)
		require.False(t, ran[tick.Unix()], "two tasks for the tick %v", tick)
		ran[tick.Unix()] = true
	}
	for at := first; at <= last; at++ {
		if ran[at] {
			list = append(list, time.Unix(at, 0).UTC())
		}
	}
	return list
}

// requireNoneMissing awaits the run of each second's tick from the first to the last that has run by now: a worker may end
// a tick before the one before it.
func (c *counter) requireNoneMissing(t *testing.T, entry string) {
	t.Helper()
	list := c.ticks(t, entry)
	first, last := list[0], list[len(list)-1]
	testenv.Eventually(t, func() bool {
		list = slices.DeleteFunc(c.ticks(t, entry), func(tick time.Time) bool { return tick.After(last) })
		return len(list) == int(last.Sub(first)/time.Second)+1
	}, "a tick is missing")
	requireContiguous(t, list)
}

// Three schedulers, fifty seconds to the second: each stalls at random between its steps, and dies at random there, upon
// which another takes its place.
func TestEachTickOnceWhateverDies(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	runs := serveCounting(t, b)
	clock := newLedClock(noon, 50)
	path := scheduleFile(t, everySecond)
	var deaths atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var places sync.WaitGroup
	for range 3 {
		places.Go(func() {
			for ctx.Err() == nil {
				life, die := context.WithCancelCause(ctx)
				beat := newBeat(t, b, path, clock)
				beat.testHook = func(string) error {
					switch n := rand.IntN(100); {
					case life.Err() != nil && ctx.Err() == nil:
						return context.Cause(life)
					case n < 5:
						deaths.Add(1)
						die(errors.New("killed"))
						return context.Cause(life)
					case n < 30:
						time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
					}
					return nil
				}
				require.NoError(t, beat.Run(life))
				die(nil)
			}
		})
	}
	testenv.Eventually(t, func() bool {
		done := len(runs.ticks(t, "a"))
		clock.follow(done)
		return done >= 300 && deaths.Load() > 0
	})
	cancel()
	places.Wait()
	runs.requireNoneMissing(t, "a")
}

// The same with processes, in real time: killed, stopped and continued as the operating system does it.
func TestEachTickOnceWithProcesses(t *testing.T) {
	t.Parallel()
	url := testenv.RedisURL(t)
	b := taskstest.Broker(t, url)
	runs := serveCounting(t, b)
	path := scheduleFile(t, everySecond)
	store := ticks.NewStore(b.Redis())

	children := make([]*exec.Cmd, 3)
	for i := range children {
		children[i] = startChild(t, url, path)
	}
	testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) >= 1 })
	begin := time.Now()
	for i := 0; time.Since(begin) < 8*time.Second; i++ {
		victim := i % len(children)
		if i%3 == 2 {
			require.NoError(t, children[victim].Process.Signal(syscall.SIGSTOP))
			time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
			require.NoError(t, children[victim].Process.Signal(syscall.SIGCONT))
			continue
		}
		time.Sleep(time.Duration(rand.IntN(700)) * time.Millisecond)
		kill(children[victim])
		children[victim] = startChild(t, url, path)
	}
	target := time.Now().Truncate(time.Second)
	testenv.Eventually(t, func() bool {
		last, err := store.LastSettled(t.Context(), "a")
		require.NoError(t, err)
		return !last.Before(target)
	})

	testenv.Eventually(t, func() bool {
		list := runs.ticks(t, "a")
		return !list[len(list)-1].Before(target)
	})

	require.GreaterOrEqual(t, len(runs.ticks(t, "a")), 8)
	runs.requireNoneMissing(t, "a")
}

const (
	childURL  = "PAIDUI_TEST_BEAT_URL"
	childPath = "PAIDUI_TEST_BEAT_PATH"
)

func startChild(t *testing.T, url, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+url, childPath+"="+path)
	cmd.Stderr = io.Discard
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

func kill(cmd *exec.Cmd) {
	if cmd.ProcessState != nil {
		return
	}
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()         // it was killed
}

// childMain makes this test binary a scheduler when startChild has started it.
func childMain() bool {
	url, path := os.Getenv(childURL), os.Getenv(childPath)
	if url == "" {
		return false
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := runChild(ctx, url, path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func runChild(ctx context.Context, url, path string) error {
	b, err := broker.Open(ctx, url, broker.Options{Logger: testenv.Quiet()})
	if err != nil {
		return err
	}
	cat, err := tasks.NewCatalog(sum, noop)
	if err != nil {
		return err
	}
	beat, err := New(Options{Path: path, Catalog: cat, Client: tasks.NewClient(b), Redis: b.Redis(), Logger: testenv.Quiet()})
	if err != nil {
		return err
	}
	return beat.Run(ctx)
}

// A scheduler dies between enqueueing and settling; the task runs, and is still retained when the next one comes.
func TestATickInDoubtIsSeenThrough(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"begun", "enqueued"} {
		t.Run("died when "+step, func(t *testing.T) {
			t.Parallel()
			b := taskstest.Broker(t, testenv.RedisURL(t))
			runs := serveCounting(t, b)
			// The tick in doubt is older than the rule skips, and the rule has changed: neither loses it.
			clock := newStepClock(noon)
			first := newBeat(t, b, scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1m, misfire: skip}\n"), clock)
			stop := dieAt(t, first, step)
			testenv.Eventually(t, func() bool { return first.Ready(t.Context()) == nil })
			clock.Set(noon.Add(time.Minute))
			<-stop

			second := newBeat(t, b, scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 7m, misfire: skip}\n"), newStepClock(noon.Add(2*time.Minute)))
			startReady(t, second)
			testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) == 1 })
			require.Equal(t, noon.Add(time.Minute), runs.ticks(t, "a")[0])
			list, err := second.store.List(t.Context())
			require.NoError(t, err)
			require.Equal(t, noon.Add(time.Minute), *list[0].LastTick)
		})
	}
}

// dieAt runs a scheduler until it dies at a step of its first tick.
func dieAt(t *testing.T, b *Beat, step string) <-chan struct{} {
	t.Helper()
	ctx, die := context.WithCancelCause(t.Context())
	b.testHook = func(at string) error {
		if at == step {
			die(errors.New("killed"))
		}
		return context.Cause(ctx)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Run(ctx) // always nil
	}()
	t.Cleanup(func() { die(nil); <-done })
	return done
}

// Beyond the retention of its task nobody can tell whether the tick was enqueued. It is not enqueued again.
func TestATickInDoubtForTooLongIsGivenUp(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	path := scheduleFile(t, everyMinute)
	clock := newStepClock(noon)
	first := newBeat(t, b, path, clock)
	stop := dieAt(t, first, "begun")
	testenv.Eventually(t, func() bool { return first.Ready(t.Context()) == nil })
	clock.Set(noon.Add(time.Minute))
	<-stop
	old := time.Now().Add(-retention(time.Minute)).Unix()
	require.NoError(t, b.Redis().HSet(t.Context(), "paidui:{schedules}:entry:a", "claim_at", old).Err())

	second := newBeat(t, b, path, newStepClock(noon.Add(2*time.Minute)))
	startReady(t, second)
	testenv.Eventually(t, func() bool {
		last, err := second.store.LastSettled(t.Context(), "a")
		require.NoError(t, err)
		return last.Equal(noon.Add(2 * time.Minute))
	})

	require.Equal(t, []time.Time{noon.Add(2 * time.Minute)}, queued(t, b.Redis(), "q", "a"))
}

// A scheduler that was stopped after it had claimed a tick asks again, and learns that the tick is settled.
func TestAStalledSchedulerAsksAgain(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	beat := newBeat(t, b, scheduleFile(t, everyMinute), newStepClock(noon))
	startReady(t, beat)
	r := beat.runner(beat.first.Entries()[0], beat.first, []byte("secret"))
	claim := ticks.Claim{Entry: "a", Tick: noon.Add(time.Minute), TaskID: "id", Queue: "q"}
	require.ErrorIs(t, r.complete(t.Context(), claim, wallClock().Add(-claimWindow-time.Second)), errStalled)
	require.Empty(t, queued(t, b.Redis(), "q", "a"))

	asked := 0
	require.NoError(t, r.repeatUntilFinal(t.Context(), func(context.Context) (ticks.ClaimAnswer, ticks.Claim, error) {
		asked++
		if asked == 1 {
			r.testHook = func(step string) error {
				if step == "begun" {
					return errStalled
				}
				return nil
			}
			return ticks.Go, claim, nil
		}
		return ticks.Settled, ticks.Claim{}, nil
	}))
	require.Equal(t, 2, asked)
	require.Empty(t, queued(t, b.Redis(), "q", "a"))
}

func TestRetention(t *testing.T) {
	t.Parallel()
	for spacing, want := range map[time.Duration]time.Duration{
		time.Second: 10 * time.Minute, 10 * time.Second: 100 * time.Minute, time.Hour: 7 * 24 * time.Hour, schedule.MaxEvery: 7 * 24 * time.Hour,
	} {
		require.Equal(t, want, retention(spacing))
	}
}

// The embedded Redis of a single-process run knows all that the scripts need.
func TestOnTheEmbeddedRedis(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	runs := serveCounting(t, b)
	clock := newFastClock(noon, 20)
	for range 2 {
		startReady(t, newBeat(t, b, scheduleFile(t, everySecond), clock))
	}
	testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) >= 10 })
	runs.requireNoneMissing(t, "a")
}
