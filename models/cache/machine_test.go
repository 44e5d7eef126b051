package cache

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/redisx"
)

// machine is one value and its row, and everybody who is about them. One at a time takes one step, which is one question
// to Redis or to the database; who does is chosen from outside.
type machine struct {
	choose func(what string, n int) int // 0 <= choice < n
	proto  protocol
	rdb    redis.UniversalClient

	row    int // the committed value: how often it was written
	tasks  []*task
	actors []*actor
	late   []func() // what Redis may be told once more
	trace  []string
}

// protocol is how the actors treat Redis.
type protocol interface {
	reader(m *machine) step
	refresher(m *machine) step
	apply(m *machine, t *task) step // ends with t.applied
	clear(m *machine) step
}

// step is what an actor does next. It returns the step after it, or nil at the end.
type step func() step

type actor struct {
	name string
	next step
}

// task is a write's, made by its commit.
type task struct {
	id      string
	version int
	update  bool // rewrite the value, else take it away
	drop    bool // take it away before it is rewritten
	applied bool // its effect has happened since the commit
}

// place is where the value is.
var place = entry{key: "row:1", message: "rows 1"}

func (m *machine) note(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

func (m *machine) begin(name string, first step) {
	m.note("%s begins", name)
	m.actors = append(m.actors, &actor{name, first})
}

// mostActors is how many are about the value at a time.
const mostActors = 4

// accidents are what may befall actors and Redis.
func (m *machine) accidents() []func() {
	ctx := context.Background()
	forget := func(what string, keys ...string) func() {
		return func() {
			m.note("%s is gone", what)
			m.rdb.Del(ctx, keys...)
		}
	}
	return []func(){
		func() {
			if len(m.actors) > 0 {
				i := m.choose("victim", len(m.actors))
				m.note("%s dies", m.actors[i].name)
				m.actors = append(m.actors[:i], m.actors[i+1:]...)
			}
		},
		func() {
			if len(m.late) > 0 {
				m.note("Redis is told again:")
				m.late[m.choose("late", len(m.late))]()
			}
		},
		func() {
			if len(m.tasks) > 0 {
				m.deliver(m.tasks[m.choose("task", len(m.tasks))]) // again, if it was before
			}
		},
		func() {
			if len(m.tasks) > 0 {
				forget("a marker", place.prefix()+"done:"+m.tasks[m.choose("marker", len(m.tasks))].id)()
			}
		},
		forget("the value", place.key),
		forget("the lease", place.prefix()+"lease"),
		func() {
			m.note("Redis loses all")
			m.rdb.FlushDB(ctx)
		},
	}
}

// happen lets one thing happen: somebody goes on, most of the time, or begins, or there is an accident of those that the
// run has.
func (m *machine) happen(accidents []func()) {
	what := m.choose("what", 16)
	switch {
	case what == 0 && len(accidents) > 0:
		accidents[m.choose("accident", len(accidents))]()
	case len(m.actors) == 0 || what < 5 && len(m.actors) < mostActors:
		switch m.choose("who", 8) {
		case 0, 1, 2:
			m.begin("reader", m.proto.reader(m))
		case 3:
			m.begin("refresher", m.proto.refresher(m))
		case 4:
			m.begin("clearer", m.proto.clear(m))
		default:
			m.begin("writer", m.write)
		}
	default:
		m.advance(m.choose("actor", len(m.actors)))
	}
}

func (m *machine) advance(i int) {
	a := m.actors[i]
	m.note("%s goes on", a.name)
	if a.next = a.next(); a.next == nil {
		m.actors = append(m.actors[:i], m.actors[i+1:]...)
	}
}

// write commits, with its task, and then applies at once.
func (m *machine) write() step {
	m.row++
	t := &task{id: fmt.Sprint("task-", m.row), version: m.row}
	how := m.choose("strategy", 3)
	t.update, t.drop = how > 0, how == 2
	m.tasks = append(m.tasks, t)
	m.note("version %d is committed", m.row)
	return m.proto.apply(m, t)
}

func (m *machine) deliver(t *task) {
	m.begin(t.id, m.proto.apply(m, t))
}

// check finds what is cached and not true although every write was applied since; else it returns "".
func (m *machine) check() string {
	for _, t := range m.tasks {
		if !t.applied {
			return ""
		}
	}
	v, err := m.rdb.Get(context.Background(), place.key).Result()
	if err == redis.Nil || v == strconv.Itoa(m.row) {
		return ""
	}
	return fmt.Sprintf("%q is cached (%v), %d is committed:\n%s", v, err, m.row, strings.Join(m.trace, "\n"))
}

// run lets steps things happen, has all tasks run, and lets everybody who is left end. It returns the first check that
// fails.
func (m *machine) run(steps int) string {
	var accidents []func()
	for _, a := range m.accidents() { // few kinds in a run: they undo what others do
		if m.choose("prone", 3) == 0 {
			accidents = append(accidents, a)
		}
	}
	for range steps {
		m.happen(accidents)
		if wrong := m.check(); wrong != "" {
			return wrong
		}
	}
	for _, t := range m.tasks {
		if !t.applied {
			m.deliver(t)
		}
	}
	for len(m.actors) > 0 {
		m.advance(m.choose("actor", len(m.actors)))
		if wrong := m.check(); wrong != "" {
			return wrong
		}
	}
	for _, again := range m.late {
		again()
		if wrong := m.check(); wrong != "" {
			return wrong
		}
	}
	for _, t := range m.tasks {
		if !t.applied {
			return "task " + t.id + " has run, but was not applied"
		}
	}
	return ""
}

// leases is this package's protocol.
type leases struct{ s *Store }

// must is for Redis, which is well here: whoever can't ask it has no effect.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (l leases) reader(m *machine) step {
	var read step
	refused := 0
	read = func() step {
		token := redisx.NewLeaseToken()
		found := must(l.s.getOrLease(context.Background(), []entry{place}, token, []raw{nil}))[0]
		switch {
		case found.value != nil:
			m.note("  finds %s", found.value)
			return nil
		case !found.mine:
			m.note("  finds the lease taken") // it would read again, or load without filling
			return nil
		}
		return func() step {
			row := m.read()
			return func() step {
				if l.fill(m, "", token, row) {
					return nil
				}
				if refused++; refused > refusals {
					return nil
				}
				return read
			}
		}
	}
	return read
}

func (m *machine) read() int {
	m.note("  reads version %d", m.row)
	return m.row
}

func (l leases) fill(m *machine, task, token string, row int) bool {
	again := func() bool {
		value := filling{entry: place, value: raw(strconv.Itoa(row)), expiry: time.Hour}
		stored := must(l.s.fill(context.Background(), task, token, []filling{value}, task != ""))[0]
		m.note("  fills with version %d: %v", row, stored)
		return stored
	}
	m.late = append(m.late, func() { again() })
	return again()
}

// rewrite takes the lease over, reads and fills, at most three times, and ends with done, or with failed.
func (l leases) rewrite(m *machine, task string, drop bool, done func(), failed step) step {
	var takeOver step
	tries := 0
	takeOver = func() step {
		if tries++; tries > refusals+1 {
			return failed
		}
		token := redisx.NewLeaseToken()
		if !must(l.s.takeOver(context.Background(), task, token, []entry{place}, drop, 0))[0] {
			m.note("  finds the change applied")
			done()
			return nil
		}
		m.note("  takes the lease over")
		return func() step {
			if m.choose("load fails", 8) == 0 {
				return failed
			}
			row := m.read()
			return func() step {
				if !l.fill(m, task, token, row) {
					return takeOver
				}
				done()
				return nil
			}
		}
	}
	return takeOver
}

func (l leases) refresher(m *machine) step { return l.rewrite(m, "", false, func() {}, nil) }

func (l leases) invalidate(m *machine, task string) {
	again := func() {
		done := must(l.s.invalidate(context.Background(), task, []entry{place}, 0))[0]
		m.note("  deletes the value: %v", done)
	}
	m.late = append(m.late, again)
	again()
}

func (l leases) clear(m *machine) step {
	return func() step { l.invalidate(m, ""); return nil }
}

func (l leases) apply(m *machine, t *task) step {
	invalidate := func() step {
		l.invalidate(m, t.id)
		t.applied = true
		return nil
	}
	if !t.update {
		return invalidate
	}
	return l.rewrite(m, t.id, t.drop, func() { t.applied = true }, invalidate)
}

// classic is what caches do without leases: readers set what they loaded, and writers delete after the commit, or set
// what they load then.
type classic struct{}

func (classic) get(m *machine) bool {
	return m.rdb.Get(context.Background(), place.key).Err() == nil
}

func (classic) set(m *machine, row int) {
	m.note("  sets version %d", row)
	m.rdb.Set(context.Background(), place.key, row, time.Hour)
}

func (c classic) reader(m *machine) step {
	return func() step {
		if c.get(m) {
			return nil
		}
		return c.refresher(m)
	}
}

func (c classic) refresher(m *machine) step {
	return func() step {
		row := m.read()
		return func() step { c.set(m, row); return nil }
	}
}

func (c classic) clear(m *machine) step {
	return func() step {
		m.note("  deletes")
		m.rdb.Del(context.Background(), place.key)
		return nil
	}
}

func (c classic) apply(m *machine, t *task) step {
	return func() step {
		c.clear(m)()
		t.applied = true
		return nil
	}
}

func newMachine(t testing.TB, rdb redis.UniversalClient, proto protocol, choose func(string, int) int) *machine {
	t.Helper()
	require.NoError(t, rdb.FlushDB(context.Background()).Err())
	return &machine{choose: choose, proto: proto, rdb: rdb}
}
