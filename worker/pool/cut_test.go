package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

const (
	cutRounds = 1000
	// In each round so many tasks are enqueued one by one, and so many with one call, all at the same time.
	cutSingles  = 2
	cutTogether = 2
	// cutBacklog is how many tasks may be pending before the next round waits a little: the cuts must not outrun the
	// worker.
	cutBacklog = 40
	// cutSeed is the variable that repeats a run's random choices, though not its timing.
	cutSeed = "CUT_SEED"
)

type cutArgs struct {
	N int `json:"n"`
}

// cutJob is how one kind of task ends.
type cutJob struct {
	job    *tasks.Definition[cutArgs, string]
	fate   func(attempt int) error
	chosen bool        // its id is the caller's, who repeats until it is made
	state  tasks.State // in the end; "" when nothing is retained
}

func always(err error) func(int) error { return func(int) error { return err } }

func firstTime(err error) func(int) error {
	return func(attempt int) error {
		if attempt == 1 {
			return err
		}
		return nil
	}
}

func cutJobs() []*cutJob {
	define := func(name, queue string, opts ...tasks.Option) *tasks.Definition[cutArgs, string] {
		return tasks.Define[cutArgs, string]("cut."+name, append(opts, tasks.Queue(queue), tasks.Backoff(0, 0))...)
	}
	failure := errors.New("no luck")
	return []*cutJob{
		{job: define("kept", "left"), fate: always(nil), state: tasks.StateSuccess},
		{job: define("dropped", "right", tasks.Retention(0)), fate: always(nil)},
		{job: define("chosen", "left"), fate: always(nil), chosen: true, state: tasks.StateSuccess},
		{job: define("flaky", "right"), fate: firstTime(failure), chosen: true, state: tasks.StateSuccess},
		{job: define("flakydropped", "left", tasks.Retention(0)), fate: firstTime(failure)},
		{job: define("hopeless", "left", tasks.MaxRetries(1)), fate: always(failure), state: tasks.StateFailure},
		{job: define("wrong", "right"), fate: always(tasks.Permanent(failure)), chosen: true, state: tasks.StateFailure},
	}
}

// TestCutConnection cuts the connection of a worker and a client at random moments. What was accepted runs, what Redis
// had acknowledged does not run again, and everything has one final state.
func TestCutConnection(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(cutSeed); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("%s=%d", cutSeed, seed)
	dice := rand.New(rand.NewPCG(seed, 0))

	server := testenv.Redis(t)
	direct := taskstest.Broker(t, server.URL(0))
	proxy := testenv.NewProxy(t, server.Addr)
	l := newLedger(t, direct)
	jobs := cutJobs()
	shelves := []shelf{newShelf(direct, "left"), newShelf(direct, "right")}

	worker := taskstest.Broker(t, proxy.URL(0))
	first, err := pool.New(worker, cutMux(l, jobs), cutConfig())
	require.NoError(t, err)
	stop := run(t, first)
	client := tasks.NewClient(taskstest.Broker(t, proxy.URL(0)))

	made := map[string]*cutJob{} // what was accepted
	for round := range cutRounds {
		calls := make([]*cutCall, cutSingles+cutTogether)
		for i := range calls {
			calls[i] = &cutCall{job: jobs[dice.IntN(len(jobs))], n: round*len(calls) + i}
		}
		var enqueueing sync.WaitGroup
		for _, c := range calls[:cutSingles] {
			enqueueing.Go(func() { c.enqueue(t.Context(), client) })
		}
		enqueueing.Go(func() { enqueueTogether(t.Context(), client, calls[cutSingles:]) })
		if dice.IntN(2) == 0 {
			proxy.CutAfter(dice.IntN(3000)) // in the middle of an answer
		}
		time.Sleep(time.Duration(dice.IntN(12_000)) * time.Microsecond)
		proxy.Cut()
		enqueueing.Wait()
		for _, c := range calls {
			if c.id != "" {
				made[c.id] = c.job
			}
			require.True(t, c.err == nil || errors.Is(c.err, tasks.ErrBroker), "%v", c.err)
		}
		for wait := 0; wait < 50 && shelves[0].pending(t)+shelves[1].pending(t) > cutBacklog; wait++ {
			time.Sleep(5 * time.Millisecond)
		}
	}
	const all = cutRounds * (cutSingles + cutTogether)
	t.Logf("of %d tasks %d were accepted", all, len(made))
	require.Greater(t, len(made), all/2, "the cuts leave most calls alone")

	// What the worker has is finished, but for tasks that were lost on their way to it: those are nobody's.
	require.Eventually(t, func() bool { return waiting(t, shelves) == 0 }, time.Minute, 20*time.Millisecond)
	stop()
	orphans := len(shelves[0].active(t)) + len(shelves[1].active(t))
	t.Logf("%d tasks were lost on their way to or from the worker", orphans)
	second, err := pool.New(direct, cutMux(l, jobs), cutConfig())
	require.NoError(t, err)
	stop = run(t, second)
	require.Eventually(t, func() bool { return unfinished(t, shelves) == 0 }, time.Minute, 20*time.Millisecond)
	stop()
	l.settle(t)

	l.assertNothingWrong(t)
	requireOneEnd(t, l, shelves, jobs, made)
}

// cutCall is one task to be enqueued.
type cutCall struct {
	job *cutJob
	n   int
	id  string // "" when it was not accepted
	err error
}

func (c *cutCall) options() []tasks.Option {
	if c.job.chosen {
		return []tasks.Option{tasks.ID(fmt.Sprintf("%s-%d", c.job.job.Name(), c.n))}
	}
	return nil
}

// settle notes what came of a try, and tells whether there is to be no other: only a chosen id can be repeated.
func (c *cutCall) settle(id string, err error) bool {
	switch {
	case err == nil, c.job.chosen && errors.Is(err, tasks.ErrDuplicate):
		c.id, c.err = id, nil
	case c.job.chosen && errors.Is(err, tasks.ErrBroker):
		return false
	default:
		c.err = err
	}
	return true
}

func (c *cutCall) enqueue(ctx context.Context, client *tasks.Client) {
	for {
		id := ""
		res, err := c.job.job.Enqueue(ctx, client, cutArgs{N: c.n}, c.options()...)
		if res != nil {
			id = res.ID()
		}
		if c.settle(id, err) {
			return
		}
	}
}

func enqueueTogether(ctx context.Context, client *tasks.Client, calls []*cutCall) {
	for len(calls) > 0 {
		signatures := make([]tasks.Signature, len(calls))
		for i, c := range calls {
			signatures[i] = c.job.job.Signature(cutArgs{N: c.n}, c.options()...)
		}
		var again []*cutCall
		for i, made := range tasks.EnqueueMany(ctx, client, signatures) {
			if !calls[i].settle(made.ID, made.Err) {
				again = append(again, calls[i])
			}
		}
		calls = again
	}
}

func cutConfig() pool.Config {
	return pool.Config{
		Queues:      map[string]int{"left": 2, "right": 1},
		Concurrency: 8,
		Drain:       30 * time.Second,
		Logger:      testenv.Quiet(),
	}
}

func cutMux(l *ledger, jobs []*cutJob) *tasks.Mux {
	m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Middleware: []tasks.Middleware{l.middleware}})
	for _, j := range jobs {
		tasks.Handle(m, j.job, func(ctx context.Context, _ cutArgs) (string, error) {
			task := tasks.Current(ctx)
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
			return fmt.Sprintf("%s in run %d", task.ID, l.of(task.ID).runs), j.fate(task.Attempt)
		})
	}
	return m
}

// waiting is how many tasks are still to be fetched.
func waiting(t *testing.T, shelves []shelf) (n int) {
	t.Helper()
	for _, s := range shelves {
		c := s.counts(t)
		n += c.Pending + c.Scheduled + c.Retry
	}
	return n
}

// unfinished is how many tasks have not ended.
func unfinished(t *testing.T, shelves []shelf) int {
	t.Helper()
	n := waiting(t, shelves)
	for _, s := range shelves {
		n += s.counts(t).Active
	}
	return n
}

// requireOneEnd holds what Redis has of every task, and of nothing else, against what should have become of it.
func requireOneEnd(t *testing.T, l *ledger, shelves []shelf, jobs []*cutJob, made map[string]*cutJob) {
	t.Helper()
	byName := map[string]*cutJob{}
	for _, j := range jobs {
		byName[j.job.Name()] = j
	}
	completed, archived, again := map[string]int{}, map[string]int{}, 0
	for _, id := range l.ids() {
		p := l.of(id)
		if p.runs > 1 {
			again++
		}
		info, err := l.direct.Info(t.Context(), id)
		if errors.Is(err, tasks.ErrNotFound) {
			if j := made[id]; j != nil {
				require.Empty(t, j.state, "%s is not retained", id)
			}
			require.True(t, p.ended == nil, "%s was %v", id, p.ended)
			continue
		}
		require.NoError(t, err)
		j := byName[info.Task]
		require.Equal(t, j.state, info.State, "%s", id)
		require.NotNil(t, p.ended, "%s is %s, which was not seen", id, info.State)
		require.Equal(t, string(p.ended.Result), string(info.Result), "%s", id)
		if info.State == tasks.StateSuccess {
			completed[info.Queue]++
			require.Contains(t, string(info.Result), id+" in run ")
		} else {
			archived[info.Queue]++
			require.Equal(t, "no luck", strings.TrimSpace(info.Error), id)
		}
		if strings.HasPrefix(info.Task, "cut.flaky") {
			require.Equal(t, 1, info.Retries, id)
		}
	}
	for id := range made {
		require.Positive(t, l.of(id).runs, "%s was accepted and did not run", id)
	}
	for _, s := range shelves {
		c := s.counts(t)
		require.Equal(t, completed[s.queue], c.Completed, s.queue)
		require.Equal(t, archived[s.queue], c.Archived, s.queue)
		require.Zero(t, s.leases(t), s.queue)
		require.Zero(t, len(s.active(t)), s.queue)
	}
	t.Logf("%d tasks ran, %d of them more than once", len(l.ids()), again)
}
