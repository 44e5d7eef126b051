package following

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/models/shop"
)

// run is one user's list in a world of processes that take turns step by step.
type run struct {
	*world
	ctx    context.Context
	choose func(what string, n int) int // 0 to n-1
	user   int64
	actors []*actor
	tasks  []task // not done yet
	made   int    // tasks, ever
	trace  []string
}

// task has a committed change applied.
type task struct {
	number int
	change string
}

const (
	fellows  = 3 // whom the user may follow
	maxSteps = 60
)

// play takes random steps, lets all tasks run, and says what is wrong then.
func (r *run) play() error {
	r.bound = 1 + r.choose("bound", fellows+1)
	defer r.crashAll()
	for range r.choose("steps", maxSteps) {
		if err := r.turn(); err != nil {
			return err
		}
	}
	for len(r.actors) > 0 {
		if err := r.someone(r.choose("crash", 4) == 0); err != nil {
			return err
		}
	}
	for len(r.tasks) > 0 {
		t := r.tasks[r.choose("task", len(r.tasks))]
		r.note("task %d: %s", t.number, t.change)
		if err := r.Apply(r.ctx, "", []string{t.change}); err != nil {
			return err
		}
		r.finish(t.number)
	}
	return r.differs(r.ctx, r.user)
}

// turn does one thing.
func (r *run) turn() error {
	switch r.choose("turn", 16) {
	case 0, 1, 2:
		return r.commit()
	case 3: // a task is delivered, perhaps while an earlier delivery of it still runs
		if len(r.tasks) > 0 {
			return r.apply(r.tasks[r.choose("task", len(r.tasks))])
		}
	case 4, 5:
		return r.begin("load", func(ctx context.Context) error { _, err := r.load(ctx, list(r.user)); return err })
	case 6:
		return r.begin("reconcile", r.reconcile)
	case 7:
		if r.choose("luck", 2) == 0 {
			return r.lose()
		}
		if len(r.actors) > 0 {
			return r.someone(true)
		}
	default:
		if len(r.actors) > 0 {
			return r.someone(false)
		}
	}
	return nil
}

func (r *run) note(format string, args ...any) {
	r.trace = append(r.trace, fmt.Sprintf(format, args...))
}

// commit turns one entry over, at a time that need not be later than those of others.
func (r *run) commit() error {
	target := int64(1 + r.choose("target", fellows))
	row := shop.Following{UserID: r.user, TargetID: target, CreatedAt: at(r.choose("time", 4))}
	gone := r.db.Where("user_id = ? AND target_id = ?", r.user, target).Delete(&shop.Following{})
	if gone.Error != nil {
		return gone.Error
	}
	r.note("commit %d", target)
	if gone.RowsAffected == 0 {
		if err := r.db.Create(&row).Error; err != nil {
			return err
		}
	}
	r.made++
	t := task{r.made, changeID(r.user, target)}
	r.tasks = append(r.tasks, t)
	if r.choose("at once", 3) > 0 {
		return r.apply(t)
	}
	return nil
}

func (r *run) apply(t task) error {
	return r.begin(fmt.Sprintf("apply %d: %s", t.number, t.change), func(ctx context.Context) error {
		err := r.Apply(ctx, "", []string{t.change})
		if err == nil {
			r.finish(t.number)
		}
		return err
	})
}

func (r *run) finish(number int) {
	r.tasks = slices.DeleteFunc(r.tasks, func(t task) bool { return t.number == number })
}

// begin sends an actor on its way; half of them arrive before anything else happens.
func (r *run) begin(name string, f func(ctx context.Context) error) error {
	r.note("begin %s", name)
	a := start(r.ctx, name, f)
	if r.choose("pause", 2) == 0 {
		r.actors = append(r.actors, a)
		return nil
	}
	for !a.step() {
	}
	return a.failure()
}

func (r *run) reconcile(ctx context.Context) error {
	c := reconciler{Followings: r.Followings, done: &Reconciled{}, told: func() {}}
	return c.check(ctx, list(r.user))
}

// someone takes a step, or crashes.
func (r *run) someone(crash bool) error {
	i := r.choose("who", len(r.actors))
	a := r.actors[i]
	if crash {
		r.note("%s crashes", a.name)
		a.crash()
	} else if r.note("%s steps", a.name); !a.step() {
		return nil
	}
	r.actors = slices.Delete(r.actors, i, i+1)
	return a.failure()
}

func (r *run) crashAll() {
	for _, a := range r.actors {
		a.crash()
	}
}

// lose has Redis lose keys, as by expiry, by eviction, or all by a restart.
func (r *run) lose() error {
	l := list(r.user)
	patterns := []string{l.key(), l.state(), l.lease(), l.own("entry:*"), l.own("new:*"), "*" + l.key() + "*"}
	pattern := patterns[r.choose("lose", len(patterns))]
	r.note("lose %s", pattern)
	keys, err := r.rdb.Keys(r.ctx, pattern).Result()
	if err != nil || len(keys) == 0 {
		return err
	}
	slices.Sort(keys)
	return r.rdb.Del(r.ctx, keys...).Err()
}

// stage makes runs that share a world.
type stage struct {
	*world
	users int64
}

func newStage(t testing.TB, redisURL string) *stage {
	s := &stage{world: openWorld(t, "sqlite://:memory:", redisURL), users: crowd}
	require.NoError(t, s.stepThrough(t.Context()))
	return s
}

func (s *stage) run(ctx context.Context, choose func(what string, n int) int) *run {
	s.users++
	return &run{world: s.world, ctx: ctx, choose: choose, user: s.users}
}

// TestAListIsTrueOnceAllTasksHaveRun plays many runs: whatever the order of the single steps, and whatever is lost, what
// Redis holds in the end is nothing or what the database has.
func TestAListIsTrueOnceAllTasksHaveRun(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"embedded": embeddedURL, "redis": testenv.RedisURL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, url(t))
			rapid.Check(t, func(rt *rapid.T) {
				r := s.run(rt.Context(), func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) })
				if err := r.play(); err != nil {
					rt.Fatalf("%v\n%s", err, strings.Join(r.trace, "\n"))
				}
			})
		})
	}
}

// TestTheModelFindsMistakes takes one safeguard away at a time, and expects a run to go wrong.
func TestTheModelFindsMistakes(t *testing.T) { // not parallel: the scripts are everybody's
	const runs = 5000
	for name, mistake := range map[string]struct {
		script   **redisx.Script
		old, new string
		seed     uint64 // of a run that finds it, to begin with
	}{
		"the lease of an entry is not asked for": {&applyScript, "if holds_lease(entry_lease, token) then", "if true then", 117},
		"a change does not end a load":           {&takeOverScript, "redis.call('DEL', lease)", "", 70},
		"a load needs no lease":                  {&fillScript, "if not holds_lease(lease, token) then", "if false then", 79},
		"a lost part of a load is not seen":      {&fillScript, "if not whole then", "if false then", 873},
		"older entries leave a gap":              {&applyScript, "state == 'more' and redis.call('ZRANK', list, member) == 0", "false", 864},
		"an emptied part is an empty list":       {&applyScript, "if n == 0 or n < fewest then drop() end", "if n == 0 then state = 'empty' end", 4},
	} {
		t.Run(name, func(t *testing.T) {
			right := *mistake.script
			text := reflect.ValueOf(right.Script).Elem().FieldByName("src").String()
			require.Equal(t, 1, strings.Count(text, mistake.old))
			defer func() { *mistake.script = right }()
			*mistake.script = redisx.NewScript(strings.Replace(text, mistake.old, mistake.new, 1))
			s := newStage(t, testenv.RedisURL(t))
			for seed := mistake.seed; seed < mistake.seed+runs; seed++ {
				rnd := rand.New(rand.NewPCG(seed, seed))
				if s.run(t.Context(), func(_ string, n int) int { return rnd.IntN(n) }).play() != nil {
					t.Logf("found with seed %d", seed)
					return
				}
			}
			t.Errorf("%d runs went well", runs)
		})
	}
}
