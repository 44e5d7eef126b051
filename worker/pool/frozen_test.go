package pool_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

// heldArgs are of a task that each worker begins, holds until the test lets go, and ends as it is told.
type heldArgs struct {
	End    string `json:"end"`
	Yields bool   `json:"yields"` // it ends with its context, too
}

// The ends of a held task: with the worker's name as its result, the same and not retained, with an error, with a
// permanent one.
const (
	endResult  = "result"
	endDropped = "dropped"
	endRetry   = "retry"
	endFailure = "failure"
)

var heldEnds = []string{endResult, endDropped, endRetry, endFailure}

var heldJob = tasks.Define[heldArgs, string]("test.held", tasks.Backoff(time.Hour, time.Hour), tasks.Jitter(false))

// stage is where test and workers meet: lists in a database of the broker's Redis.
type stage struct{ rdb *redis.Client }

func openStage(t *testing.T, addr string) stage {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr, DB: 1})
	t.Cleanup(func() { _ = rdb.Close() })
	return stage{rdb}
}

func (s stage) tell(t *testing.T, event, worker, id string) {
	t.Helper()
	require.NoError(t, s.rdb.RPush(t.Context(), event+":"+worker+":"+id, 1).Err())
}

func (s stage) await(t *testing.T, event, worker, id string) {
	t.Helper()
	require.NoError(t, s.rdb.BLPop(t.Context(), time.Minute, event+":"+worker+":"+id).Err(), "%s has not %s %s", worker, event, id)
}

// heldMux is the mux of the worker with the name.
func heldMux(s stage, worker string) *tasks.Mux {
	m := mux()
	tasks.Handle(m, heldJob, func(ctx context.Context, a heldArgs) (string, error) {
		id := tasks.Current(ctx).ID
		always := context.WithoutCancel(ctx)
		if err := s.rdb.RPush(always, "begun:"+worker+":"+id, 1).Err(); err != nil {
			return "", err
		}
		for {
			if a.Yields && ctx.Err() != nil {
				return "", ctx.Err()
			}
			err := s.rdb.BLPop(always, time.Second, "go:"+worker+":"+id).Err()
			if err == nil && a.Yields && ctx.Err() != nil { // it was meant for the run that has taken this one's place
				return "", errors.Join(ctx.Err(), s.rdb.RPush(always, "go:"+worker+":"+id, 1).Err())
			}
			if err == nil {
				break
			}
			if !errors.Is(err, redis.Nil) {
				return "", err
			}
		}
		switch a.End {
		case endRetry:
			return "", errors.New("from " + worker)
		case endFailure:
			return "", tasks.Permanent(errors.New("from " + worker))
		}
		return worker, nil
	})
	return m
}

func heldConfig(name string, drain, life time.Duration) pool.Config {
	return pool.Config{
		Name:        name,
		Queues:      map[string]int{"default": 1},
		Concurrency: 2 * len(heldEnds),
		Drain:       drain,
		Life:        life,
		Logger:      testenv.Quiet(),
	}
}

// shortLife is how long workers live without a beat where that is not what a test is about.
const shortLife = 2 * time.Second

// What makes this test binary a worker: the address of its Redis, its drain and its life.
const (
	frozenAddr  = "POOL_TEST_REDIS"
	frozenDrain = "POOL_TEST_DRAIN"
	frozenLife  = "POOL_TEST_LIFE"
)

// TestFrozenWorkerProcess is the worker that startFrozen starts.
func TestFrozenWorkerProcess(t *testing.T) {
	addr := os.Getenv(frozenAddr)
	if addr == "" {
		t.Skip("part of other tests")
	}
	drain, err := time.ParseDuration(os.Getenv(frozenDrain))
	require.NoError(t, err)
	life, err := time.ParseDuration(os.Getenv(frozenLife))
	require.NoError(t, err)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	b := taskstest.Broker(t, "redis://"+addr+"/0")
	p, err := pool.New(b, heldMux(openStage(t, addr), "first"), heldConfig("first", drain, life))
	require.NoError(t, err)
	require.NoError(t, p.Run(ctx))
}

// frozen is a worker process that can be stopped in its tracks.
type frozen struct{ cmd *exec.Cmd }

func startFrozen(t *testing.T, addr string, drain, life time.Duration) *frozen {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	f := &frozen{cmd: exec.Command(path, "-test.run=^TestFrozenWorkerProcess$", "-test.timeout=5m")}
	f.cmd.Env = append(os.Environ(), frozenAddr+"="+addr, frozenDrain+"="+drain.String(), frozenLife+"="+life.String())
	require.NoError(t, f.cmd.Start())
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill() // it has ended already if all went well
		_ = f.cmd.Wait()
	})
	return f
}

func (f *frozen) signal(t *testing.T, s os.Signal) {
	t.Helper()
	require.NoError(t, f.cmd.Process.Signal(s))
}

// end has the process drain and waits until it is gone, and with it all it had to say to Redis.
func (f *frozen) end(t *testing.T) {
	t.Helper()
	f.signal(t, syscall.SIGTERM)
	var exit *exec.ExitError
	if err := f.cmd.Wait(); err != nil {
		require.ErrorAs(t, err, &exit)
	}
}

// thaw is a worker that was stopped while it ran tasks, and another that has got these tasks since.
type thaw struct {
	url    string
	stage  stage
	shelf  shelf
	direct *tasks.Client
	first  *frozen
	life   time.Duration
	ids    map[string]string // by end
}

// freeze has a first worker run a task of each end, and stops it. The tasks are not lost yet: see takeOver.
func freeze(t *testing.T, args heldArgs, drain time.Duration) *thaw {
	t.Helper()
	th := hold(t, args, drain, shortLife)
	th.first.signal(t, syscall.SIGSTOP)
	return th
}

// hold has a first worker run a task of each end.
func hold(t *testing.T, args heldArgs, drain, life time.Duration) *thaw {
	t.Helper()
	server := testenv.Redis(t)
	b := taskstest.Broker(t, server.URL(0))
	th := &thaw{
		url:    server.URL(0),
		stage:  openStage(t, server.Addr),
		shelf:  newShelf(b, "default"),
		direct: tasks.NewClient(b),
		life:   life,
		ids:    map[string]string{},
	}
	th.first = startFrozen(t, server.Addr, drain, life)
	for _, end := range heldEnds {
		retention := time.Hour
		if end == endDropped {
			retention = 0
		}
		args.End = end
		res, err := heldJob.Enqueue(t.Context(), th.direct, args, tasks.Retention(retention))
		require.NoError(t, err)
		th.ids[end] = res.ID()
	}
	for _, id := range th.ids {
		th.stage.await(t, "begun", "first", id)
	}
	return th
}

// takeOver has the worker "second", in this process, find that the tasks are lost, and begin them.
func (th *thaw) takeOver(t *testing.T) {
	t.Helper()
	th.second(t)
	th.awaitSecond(t)
}

// second starts the worker.
func (th *thaw) second(t *testing.T) {
	t.Helper()
	second, err := pool.New(taskstest.Broker(t, th.url), heldMux(th.stage, "second"), heldConfig("second", time.Minute, th.life))
	require.NoError(t, err)
	run(t, second)
	require.Eventually(t, func() bool { return second.Ready(t.Context()) == nil }, time.Minute, time.Millisecond)
}

func (th *thaw) awaitSecond(t *testing.T) {
	t.Helper()
	for _, id := range th.ids {
		th.stage.await(t, "begun", "second", id)
	}
}

// release lets a worker end its tasks.
func (th *thaw) release(t *testing.T, worker string) {
	t.Helper()
	for _, id := range th.ids {
		th.stage.tell(t, "go", worker, id)
	}
}

// infos are what Redis has of the tasks, by end; nil is nothing.
func (th *thaw) infos(t *testing.T) map[string]*tasks.Info {
	t.Helper()
	all := map[string]*tasks.Info{}
	for end, id := range th.ids {
		info, err := th.direct.Info(t.Context(), id)
		if !errors.Is(err, tasks.ErrNotFound) {
			require.NoError(t, err)
		}
		all[end] = info
	}
	return all
}

// requireRunning wants all tasks to be the second worker's, with nothing to show for yet.
func (th *thaw) requireRunning(t *testing.T) {
	t.Helper()
	for end, info := range th.infos(t) {
		require.NotNil(t, info, end)
		require.Equal(t, tasks.StateStarted, info.State, end)
		require.Empty(t, info.Result, end)
		require.Zero(t, info.Retries, end)
	}
	require.Len(t, th.shelf.active(t), len(th.ids))
	require.Equal(t, len(th.ids), th.shelf.leases(t))
	require.Zero(t, th.shelf.pending(t))
}

// requireSecond waits until all tasks have ended as the second worker has it.
func (th *thaw) requireSecond(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return th.shelf.leases(t) == 0 }, time.Minute, 5*time.Millisecond)
	infos := th.infos(t)
	require.Nil(t, infos[endDropped])
	require.Equal(t, tasks.StateSuccess, infos[endResult].State)
	require.JSONEq(t, `"second"`, string(infos[endResult].Result))
	require.Equal(t, tasks.StateRetry, infos[endRetry].State)
	require.Equal(t, "from second", infos[endRetry].Error)
	require.Equal(t, 1, infos[endRetry].Retries)
	require.Equal(t, tasks.StateFailure, infos[endFailure].State)
	require.Equal(t, "from second", infos[endFailure].Error)
	counts := th.shelf.counts(t)
	require.Equal(t, []int{0, 0, 1, 1, 1}, []int{counts.Active, counts.Pending, counts.Retry, counts.Completed, counts.Archived})
	for _, id := range th.ids {
		n, err := th.stage.rdb.LLen(t.Context(), "begun:second:"+id).Result()
		require.NoError(t, err)
		require.Zero(t, n, "%s runs a third time", id)
	}
}

// lateCases are what a worker that stood still may do once it goes on, and what must not come of it.
func lateCases() map[string]func(*testing.T) (th *thaw, goOn func(*testing.T)) {
	return map[string]func(*testing.T) (*thaw, func(*testing.T)){
		"it ends what another runs": func(t *testing.T) (*thaw, func(*testing.T)) {
			th := freeze(t, heldArgs{}, time.Minute)
			return th, func(t *testing.T) {
				th.release(t, "first")
				th.first.signal(t, syscall.SIGCONT)
				th.first.end(t)
				th.requireRunning(t)
				th.release(t, "second")
				th.requireSecond(t)
			}
		},
		"it ends what another has ended": func(t *testing.T) (*thaw, func(*testing.T)) {
			th := freeze(t, heldArgs{}, time.Minute)
			return th, func(t *testing.T) {
				th.release(t, "second")
				th.requireSecond(t)
				before := th.infos(t)
				th.release(t, "first")
				th.first.signal(t, syscall.SIGCONT)
				th.first.end(t)
				th.requireSecond(t)
				require.Equal(t, before, th.infos(t))
			}
		},
		"it puts back what another runs": func(t *testing.T) (*thaw, func(*testing.T)) {
			th := freeze(t, heldArgs{Yields: true}, 0)
			return th, func(t *testing.T) {
				th.first.signal(t, syscall.SIGCONT)
				th.first.end(t)
				th.requireRunning(t)
				th.release(t, "second")
				th.requireSecond(t)
			}
		},
	}
}

// A worker goes on before it can know that it has lost its tasks.
func TestFrozenWorkerThatBelievesInItsLife(t *testing.T) {
	t.Parallel()
	for name, begin := range lateCases() {
		t.Run(name, func(t *testing.T) {
			th, goOn := begin(t)
			th.takeOver(t)
			goOn(t)
		})
	}
}

// A worker stands still for longer than the lease for which asynq goes on with a task, and nobody is there to take over: it
// runs its tasks again itself.
func TestFrozenWorkerPastItsLease(t *testing.T) {
	t.Parallel()
	th := freeze(t, heldArgs{Yields: true}, time.Minute)
	ends, err := th.shelf.b.Redis().ZRangeWithScores(t.Context(), th.shelf.leaseKey(), 0, -1).Result()
	require.NoError(t, err)
	require.Len(t, ends, len(heldEnds))
	last := time.Unix(int64(ends[len(ends)-1].Score), 0)
	time.Sleep(time.Until(last.Add(3 * time.Second)))
	th.first.signal(t, syscall.SIGCONT)
	for _, id := range th.ids {
		th.stage.await(t, "begun", "first", id)
	}
	th.release(t, "first")
	var infos map[string]*tasks.Info
	require.Eventually(t, func() bool {
		infos = th.infos(t)
		return infos[endDropped] == nil && infos[endResult].State == tasks.StateSuccess && infos[endRetry].Retries == 1 &&
			infos[endFailure].State == tasks.StateFailure
	}, time.Minute, 20*time.Millisecond)
	// A handler that sees its context end first puts its task back itself, which is no crash.
	require.LessOrEqual(t, infos[endResult].Crashes, 1)
	require.Zero(t, infos[endResult].Retries)
}

// redelivery is the promise, with room for a busy machine.
const redelivery = 20 * time.Second

// A worker is killed, and its tasks begin in another one that was there before.
func TestKilledWorkersTasksBeginElsewhere(t *testing.T) {
	t.Parallel()
	th := hold(t, heldArgs{}, time.Minute, 0)
	th.second(t)
	th.first.signal(t, syscall.SIGKILL)
	killed := time.Now()
	th.awaitSecond(t)
	took := time.Since(killed)
	t.Logf("begun elsewhere %v after the kill", took.Round(time.Millisecond))
	require.Less(t, took, redelivery)
	th.requireRunning(t)
	for end, info := range th.infos(t) {
		require.Equal(t, 1, info.Crashes, end)
		require.Len(t, info.Attempts, 1, end)
		require.Equal(t, "first", info.Attempts[0].Worker, end)
	}
	th.release(t, "second")
	th.requireSecond(t)
}
