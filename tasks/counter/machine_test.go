package counter

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
)

// world is a database, in which every commit is one step, and a Redis with the real scripts.
type world struct {
	t    *rapid.T
	ctx  context.Context
	rdb  *redis.Client
	mini *miniredis.Miniredis // nil on a real server, whose clock nobody moves

	now    time.Time
	serial uint64
	faults bool // of Redis

	users  []int64
	counts map[Kind]map[int64]int64
	jobs   []*job
	actors []*actor
}

// job is the task of one write.
type job struct {
	id     string
	ids    []string
	shares map[Kind][]share
	kept   bool          // its row is in the outbox
	ended  bool          // it was applied as a whole, and the task has ended
	passed map[Kind]bool // counted, or refused as too old
}

func newWorld(t *rapid.T, ctx context.Context, rdb *redis.Client, mini *miniredis.Miniredis) *world {
	w := &world{t: t, ctx: ctx, rdb: rdb, mini: mini, counts: make(map[Kind]map[int64]int64)}
	w.now = time.Now()
	if mini != nil {
		w.now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		mini.SetTime(w.now)
	}
	require.NoError(t, rdb.FlushAll(ctx).Err())
	for _, k := range Kinds() {
		w.counts[k] = make(map[int64]int64)
	}
	w.users = []int64{3, 20, 1 << 60}
	return w
}

// counters are those of one process.
func (w *world) counters() *Counters {
	store, err := cache.NewStore(w.rdb, cache.StoreOptions{Timeout: time.Minute, Logger: testenv.Quiet()})
	require.NoError(w.t, err)
	return &Counters{store: store, redisCounts: redisCounts{w.rdb}, source: w, log: testenv.Quiet()}
}

// The source.

func (w *world) total(ctx context.Context) (int64, error) { return int64(len(w.users)), yield(ctx) }

func (w *world) page(ctx context.Context, after int64, limit int) (users int, last int64, err error) {
	if err := yield(ctx); err != nil {
		return 0, 0, err
	}
	for _, u := range w.users {
		if u > after && users < limit {
			users, last = users+1, u
		}
	}
	return users, last, nil
}

func (w *world) existing(ctx context.Context, ids []int64) (found []int64, err error) {
	if err := yield(ctx); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if slices.Contains(w.users, id) {
			found = append(found, id)
		}
	}
	return found, nil
}

func (w *world) snapshot(ctx context.Context, s scope) (*snapshot, error) {
	if err := yield(ctx); err != nil {
		return nil, err
	}
	in := func(u int64) bool { return s.has(u) || slices.Contains(s.users, u) }
	c := newSnapshot()
	for _, u := range w.users {
		if in(u) {
			c.users = append(c.users, u)
		}
	}
	for _, k := range Kinds() {
		for u, n := range w.counts[k] {
			if in(u) {
				c.counts[k][u] = n
			}
		}
	}
	for _, j := range w.jobs {
		if j.kept {
			c.add(j.id, j.ids, in)
		}
	}
	return c, nil
}

// What happens.

func (w *world) one(what string, n int) int { return rapid.IntRange(0, n-1).Draw(w.t, what) }

// write commits a change of some counts, none of which goes below zero.
func (w *world) write() *job {
	w.serial++
	j := &job{kept: true, passed: make(map[Kind]bool)}
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(w.time().UnixMilli())<<16|7<<12)
	binary.BigEndian.PutUint64(id[8:], 2<<62|w.serial)
	j.id = "cache_" + id.String()
	if w.one("chosen id", 20) == 0 {
		j.id = fmt.Sprintf("chosen-%d", w.serial)
	}
	for range 1 + w.one("changes", 3) {
		k := Kinds()[w.one("kind", 5)%3]
		u := w.users[w.one("user", len(w.users))]
		delta := int64(1)
		if w.counts[k][u] > 0 && w.one("less", 2) == 1 {
			delta = -1
		}
		w.counts[k][u] += delta
		j.ids = append(j.ids, Change(k, u, delta).ID)
	}
	var err error
	j.shares, err = sumByUser(j.ids)
	require.NoError(w.t, err)
	w.jobs = append(w.jobs, j)
	return j
}

// apply begins to apply a task, whatever has become of it.
func (w *world) apply(j *job) *actor {
	a := begin(w.ctx, "apply "+j.id, func(ctx context.Context) error {
		a := ctx.Value(actorKey{}).(*actor)
		a.saw = func(cmd redis.Cmder) { w.saw(j, cmd) }
		return w.counters().Apply(ctx, j.id, j.ids)
	})
	w.actors = append(w.actors, a)
	return a
}

// saw notes what the script says of a job's kind.
func (w *world) saw(j *job, cmd redis.Cmder) {
	answer, ok := cmd.(*redis.Cmd)
	if !ok || answer.Val() != string(counted) && answer.Val() != string(lateForMark) {
		return
	}
	for _, k := range Kinds() {
		if cmd.Args()[3] == k.Key() {
			j.passed[k] = true
		}
	}
}

func (w *world) reconcile(suspects bool) *actor {
	r := w.counters().reconciler(func(int64, int64, string) error { return nil })
	r.poll, r.sizes = time.Microsecond, sizes{page: 2, check: 1, repair: 1, freeze: 2}
	run := r.whole
	if suspects {
		run = r.suspects
	}
	a := begin(w.ctx, "reconcile", func(ctx context.Context) error {
		_, err := run(ctx)
		return err
	})
	w.actors = append(w.actors, a)
	return a
}

// time is that of Redis.
func (w *world) time() time.Time {
	if w.mini == nil {
		return time.Now()
	}
	return w.now
}

func (w *world) advance(d time.Duration) {
	if w.mini != nil {
		w.now = w.now.Add(d)
		w.mini.SetTime(w.now)
		w.mini.FastForward(d)
	}
}

// act does something at random.
func (w *world) act() {
	alive := slices.DeleteFunc(slices.Clone(w.actors), func(a *actor) bool { return a.over })
	switch p := w.one("act", 100); {
	case p < 8:
		w.write()
	case p < 18:
		w.take(w.apply(w.write()), 20)
	case p < 28 && len(w.jobs) > 0 && len(alive) < 6:
		w.apply(w.jobs[w.one("job", len(w.jobs))])
	case p < 33 && len(alive) < 6:
		w.reconcile(p == 28)
	case p < 35 && len(alive) > 0:
		alive[w.one("actor", len(alive))].kill()
	case p < 40 && len(w.jobs) > 0:
		w.end(w.jobs[w.one("job", len(w.jobs))])
	case p < 43 && !w.faults:
	case p < 41:
		require.NoError(w.t, w.rdb.FlushAll(w.ctx).Err())
	case p < 43:
		all := keys(Kinds()[w.one("kind", 5)%3])
		require.NoError(w.t, w.rdb.Del(w.ctx, all[max(0, w.one("key", 2*len(all))-len(all))]).Err())
	case p < 51:
		w.check()
	case p < 53:
		w.advance([]time.Duration{time.Millisecond, time.Second, 70 * time.Second, keep / 2, keep, 2 * keep}[w.one("time", 6)])
	case len(alive) > 0:
		w.take(alive[w.one("actor", len(alive))], 1+w.one("steps", 12))
	}
}

// take lets an actor take some steps, if it has that many left.
func (w *world) take(a *actor, n int) {
	for ; n > 0 && !a.over; n-- {
		a.step()
	}
}

// end has a task end that was applied as a whole, and after that its row disappear.
func (w *world) end(j *job) {
	if j.ended {
		j.kept = false
		return
	}
	j.ended = w.passedAll(j)
}

func (w *world) passedAll(j *job) bool {
	for k := range j.shares {
		if !j.passed[k] {
			return false
		}
	}
	return true
}

// check holds what readers are told against what was committed and what is still to be counted.
func (w *world) check() {
	for _, k := range Kinds() {
		values := w.values(k)
		since, _ := w.rdb.HGet(w.ctx, keys(k)[1], "since").Int64()
		oldest := max(since, w.time().Add(-keep).UnixMilli())
		for _, u := range w.users {
			text, err := countScript.Run(w.ctx, w.rdb, keys(k), u).Text()
			require.NoError(w.t, err)
			if text == "unbuilt" {
				break
			}
			if text == "suspect" {
				continue
			}
			want, sure := w.counts[k][u], true
			for _, j := range w.jobs {
				for _, s := range j.shares[k] {
					if s.user != u || j.passed[k] {
						continue
					}
					switch o := originOf(j.id); {
					case o.at < oldest:
						sure = false // it is in the count or not, and its user will be a suspect
					case !w.rdb.SIsMember(w.ctx, o.bucket(k), o.mark(u)).Val():
						want -= s.delta
					}
				}
			}
			if sure {
				require.Equal(w.t, want, values[u], "%s of %d; jobs %s", k, u, w.story())
				require.Equal(w.t, fmt.Sprint(max(want, 0)), text)
			}
		}
	}
}

// values are the counts of a kind in Redis, with those below zero.
func (w *world) values(k Kind) map[int64]int64 {
	values := make(map[int64]int64)
	scores, err := w.rdb.ZRangeWithScores(w.ctx, k.Key(), 0, -1).Result()
	require.NoError(w.t, err)
	for _, z := range scores {
		var u int64
		_, err := fmt.Sscan(z.Member.(string), &u)
		require.NoError(w.t, err)
		require.Positive(w.t, z.Score)
		values[u] = int64(z.Score)
	}
	debts, err := w.rdb.HGetAll(w.ctx, debtsKey(k)).Result()
	require.NoError(w.t, err)
	for member, debt := range debts {
		var u, n int64
		_, err := fmt.Sscan(member+" "+debt, &u, &n)
		require.NoError(w.t, err)
		require.Negative(w.t, n)
		require.Zero(w.t, values[u])
		values[u] = n
	}
	return values
}

func (w *world) story() (text string) {
	for _, j := range w.jobs {
		text += fmt.Sprintf("\n%s %v kept %v ended %v passed %v", j.id, j.ids, j.kept, j.ended, j.passed)
	}
	return text
}

// rest lets everything run that is left, reconciles once, and finds each count exact.
func (w *world) rest() {
	for _, a := range w.actors {
		a.kill()
	}
	w.advance(2 * rangeLife) // their windows expire
	if w.mini == nil {
		for _, k := range Kinds() {
			require.NoError(w.t, w.rdb.Del(w.ctx, keys(k)[2], keys(k)[3], keys(k)[4]).Err())
		}
	}
	for _, j := range w.jobs {
		if !j.ended {
			w.finish(w.apply(j))
		}
		j.ended, j.kept = true, w.one("row stays", 2) == 0
	}
	w.check()
	w.finish(w.reconcile(false))
	for _, k := range Kinds() {
		want := maps.Clone(w.counts[k])
		maps.DeleteFunc(want, func(_, n int64) bool { return n == 0 })
		require.Equal(w.t, want, w.values(k), "%s; jobs %s", k, w.story())
		require.Zero(w.t, w.rdb.SCard(w.ctx, suspectsKey(k)).Val())
		text, err := countScript.Run(w.ctx, w.rdb, keys(k), w.users[0]).Text()
		require.NoError(w.t, err)
		require.Equal(w.t, fmt.Sprint(w.counts[k][w.users[0]]), text, "it is built")
	}
}

func (w *world) finish(a *actor) {
	for n := 0; !a.over; n++ {
		require.Less(w.t, n, 10_000, "%s does not end", a.name)
		a.step()
	}
	require.NoError(w.t, a.err, a.name)
}

// TestCountsAreExact interleaves single steps of writers, of changes that are applied, some never, some twice, late or out
// of order, and of reconcilers, all of whom may die; and Redis loses keys, or all. Whatever readers are told is exact.
func TestCountsAreExact(t *testing.T) {
	t.Parallel()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		mini := miniredis.RunT(t)
		explore(t, mini.Addr(), mini, 60)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		explore(t, testenv.Redis(t).Addr, nil, 50)
	})
}

func explore(t *testing.T, addr string, mini *miniredis.Miniredis, acts int) {
	rdb := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 20})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	rdb.AddHook(steps{})
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, t.Context(), rdb, mini)
		defer func() {
			for _, a := range w.actors {
				a.kill()
			}
		}()
		w.faults = w.one("faults", 2) == 1
		if w.one("built", 4) > 0 {
			w.finish(w.reconcile(false))
		}
		for range acts {
			w.act()
		}
		w.rest()
	})
}
