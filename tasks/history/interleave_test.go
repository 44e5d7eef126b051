package history

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/tasks"
)

// life is one task of TestWhateverComesBetween.
type life struct {
	events    []tasks.Record // what happens to it, in that order; the last is its end
	happened  int            // of them: Redis knows the last of these
	delivered []int          // of them, whose records the history was given, in that order
	lost      []int          // of them, whose records died with a worker
	forgotten bool           // by Redis
	told      []int          // those of them that came since its record was deleted last
	pruned    bool           // that was so once
}

func (l *life) id() string       { return l.events[0].ID }
func (l *life) mayDeliver() bool { return len(l.next()) > 0 }

// next are the events that have happened and of which the history was not told.
func (l *life) next() (list []int) {
	for i := range l.happened {
		if !slices.Contains(l.delivered, i) && !slices.Contains(l.lost, i) {
			list = append(list, i)
		}
	}
	return list
}

// merged is what the history was told in all.
func (l *life) merged(t require.TestingT) row {
	var all *row
	for _, i := range l.told {
		one := rowsFrom(t, l.events[i])[0]
		if all != nil {
			joined := merge(*all, *one)
			one = &joined
		}
		all = one
	}
	return *all
}

// drawLife draws a task that runs once, or is run again by hand after it has failed.
func drawLife(t *rapid.T, at time.Time) *life {
	first := waiting("default", at)
	if rapid.IntRange(0, 4).Draw(t, "chosen") == 0 {
		first.ID = "chosen-" + first.ID
	}
	l := &life{events: []tasks.Record{first}}
	clock := at
	add := func(state tasks.State, run, attempt int) *tasks.Record {
		r := first
		r.State, r.Run, r.Attempt = state, run, attempt
		clock = clock.Add(time.Millisecond)
		if attempt > 0 {
			r.Worker, r.StartedAt = "worker", clock
		}
		l.events = append(l.events, r)
		return &l.events[len(l.events)-1]
	}
	for run := 1; ; run++ {
		if run > 1 {
			add(tasks.StatePending, run, 0)
		}
		if rapid.Bool().Draw(t, "long") {
			add(tasks.StateStarted, run, 1)
		}
		again := run < 3 && rapid.IntRange(0, 3).Draw(t, "again") == 0
		state := tasks.StateFailure
		if !again {
			state = rapid.SampledFrom([]tasks.State{tasks.StateSuccess, tasks.StateRevoked}).Draw(t, "end")
		}
		r := add(state, run, 1)
		r.EndedAt = clock
		if state == tasks.StateRevoked {
			r.Args, r.RequestID = nil, "" // whoever revokes knows neither
		}
		if !again {
			return l
		}
	}
}

// info is what Redis says of the task.
func (l *life) info() *tasks.Info {
	if l.forgotten || l.happened == 0 {
		return nil
	}
	r := l.events[l.happened-1]
	return &tasks.Info{
		ID: r.ID, Task: r.Task, Queue: r.Queue, State: r.State, EnqueuedAt: &r.EnqueuedAt, History: tasks.HistoryFull,
		Args: json.RawMessage(l.events[0].Args), RequestID: l.events[0].RequestID,
	}
}

var errDied = errors.New("the process died")

// TestWhateverComesBetween lets a few tasks live, Redis forget them, records arrive in any order, twice, or not at all,
// and settlers and prunes come between, and die at any step; some of the processes are of an earlier build. Searches find each task that the history was told of once; and
// at last the table says what became of each, and nothing that was deleted has come back.
func TestWhateverComesBetween(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		rapid.Check(t, func(rt *rapid.T) {
			for _, table := range []string{"paidui_task_records", "paidui_task_bundles"} {
				require.NoError(rt, db.Exec("DELETE FROM "+table).Error)
			}
			w := newWorld(t, db)
			var lives []*life
			for range rapid.IntRange(1, 6).Draw(rt, "tasks") {
				lives = append(lives, drawLife(rt, epoch.Add(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "at"))*time.Millisecond)))
			}
			o := &orders{world: w, t: rt, lives: lives}
			for range rapid.IntRange(5, 25).Draw(rt, "steps") {
				o.step()
			}
			o.end()
		})
	})
}

// orders are what a test does to the history of some tasks.
type orders struct {
	*world
	t     *rapid.T
	lives []*life
}

func (o *orders) step() {
	l := o.lives[rapid.IntRange(0, len(o.lives)-1).Draw(o.t, "task")]
	switch rapid.SampledFrom([]string{"happen", "happen", "tell", "tell", "tell", "again", "lose", "forget", "wait", "settle", "settle", "die", "round", "prune", "search"}).Draw(o.t, "step") {
	case "happen":
		l.happened = min(l.happened+1, len(l.events))
	case "tell":
		o.tell(l)
	case "again":
		if len(l.delivered) > 0 {
			o.write(l, rapid.SampledFrom(l.delivered).Draw(o.t, "record"))
		}
	case "lose":
		// Of a task that runs again, the end of an earlier run would be news of the later ones to a history that lost them.
		if l.mayDeliver() && l.events[len(l.events)-1].Run == 1 && len(l.delivered) > 0 {
			l.lost = append(l.lost, rapid.SampledFrom(l.next()).Draw(o.t, "record"))
		}
	case "forget":
		l.forgotten = l.forgotten || l.happened == len(l.events)
	case "wait":
		o.clock = o.clock.Add(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, 2 * time.Minute, 3 * time.Hour}).Draw(o.t, "time"))
	case "settle":
		o.settle()
	case "die":
		o.die()
	case "round":
		o.listen()
		_, err := o.settler.round(context.Background())
		require.NoError(o.t, err)
	case "prune":
		o.prune()
	case "search":
		o.search()
	}
}

// listen has Redis say what it knows now.
func (o *orders) listen() {
	clear(o.redis)
	for _, l := range o.lives {
		if info := l.info(); info != nil {
			o.redis[l.id()] = info
		}
	}
}

func (o *orders) tell(l *life) {
	if !l.mayDeliver() {
		return
	}
	i := rapid.SampledFrom(l.next()).Draw(o.t, "record")
	o.write(l, i)
	l.delivered = append(l.delivered, i)
}

func (o *orders) write(l *life, i int) {
	l.told = append(l.told, i)
	r := rowsFrom(o.t, l.events[i])[0]
	if _, ok := stubOf(r); ok && rapid.Bool().Draw(o.t, "bundle") {
		together := []tasks.Record{l.events[i]}
		for _, other := range o.lives { // who comes along
			if other != l && other.happened > 0 && len(other.delivered) == 0 && len(other.lost) == 0 {
				if _, ok := stubOf(rowsFrom(o.t, other.events[0])[0]); ok {
					together = append(together, other.events[0])
					other.delivered, other.told = []int{0}, []int{0}
				}
			}
		}
		bundled(o.t, o.Store, o.clock.Add(firstLook), together...)
		return
	}
	_, err := o.table.write(context.Background(), []*row{r})
	require.NoError(o.t, err)
}

func (o *orders) settle() {
	_, err := o.settler.convert(context.Background())
	require.NoError(o.t, err)
}

// die has a settler end before its transaction commits, or after a database that refuses a row took the others.
func (o *orders) die() {
	list := bundles(o.t, o.db)
	if len(list) == 0 {
		return
	}
	ctx := context.Background()
	rows, err := unpack(&list[rapid.IntRange(0, len(list)-1).Draw(o.t, "bundle")])
	require.NoError(o.t, err)
	if rapid.Bool().Draw(o.t, "some written") {
		_, err := o.table.write(ctx, rows[:(len(rows)+1)/2])
		require.NoError(o.t, err)
		return
	}
	err = o.table.transact(ctx, func(tx *session) error {
		_, err := o.table.put(ctx, tx, rows)
		require.NoError(o.t, err)
		return errDied
	})
	require.ErrorIs(o.t, err, errDied)
}

func (o *orders) prune() {
	o.listen()
	_, err := o.Prune(context.Background(), 2*time.Hour, nil)
	require.NoError(o.t, err)
	left := map[string]bool{}
	for id := range stored(o.t, o.db) {
		left[id] = true
	}
	for _, b := range bundles(o.t, o.db) {
		rows, err := unpack(&b)
		require.NoError(o.t, err)
		for _, r := range rows {
			left[r.id] = true
		}
	}
	for _, l := range o.lives {
		if len(l.told) > 0 && !left[l.id()] {
			l.told, l.pruned = nil, true
		}
	}
}

// search holds that every task of which the history knows is found once.
func (o *orders) search() {
	o.listen()
	var got []string
	for q := (Query{Limit: rapid.IntRange(1, 4).Draw(o.t, "limit")}); ; {
		page, err := o.Search(context.Background(), q)
		require.NoError(o.t, err)
		for _, info := range page.Tasks {
			got = append(got, info.ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	var want []string
	for _, l := range o.lives {
		if len(l.told) > 0 {
			want = append(want, l.id())
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(o.t, want, got)
}

// end lets everything happen that has to, and looks at what is left.
func (o *orders) end() {
	for _, l := range o.lives {
		l.happened = len(l.events)
		for l.mayDeliver() {
			o.tell(l)
		}
		l.forgotten = l.forgotten || rapid.Bool().Draw(o.t, "forgotten")
	}
	o.search()
	o.convertAll(o.t)
	require.Empty(o.t, bundles(o.t, o.db))
	o.clock = o.clock.Add(10 * time.Minute)
	o.listen()
	_, err := o.settler.round(context.Background())
	require.NoError(o.t, err)
	got := stored(o.t, o.db)
	for _, l := range o.lives {
		if len(l.told) == 0 {
			require.NotContains(o.t, got, l.id())
			continue
		}
		want, is := l.merged(o.t), got[l.id()]
		switch {
		case want.hasEnded():
			is := rowFrom(is)
			if want.args == "" || l.pruned { // Redis may have told them, or a record that is deleted
				is.args = want.args
			}
			require.Equal(o.t, []string{want.state, want.args}, []string{is.state, is.args})
			require.Equal(o.t, []time.Time{want.started, want.ended}, []time.Time{is.started, is.ended})
		case l.forgotten && is.State == string(tasks.StateLost):
		default: // Redis said so when it still knew
			require.Equal(o.t, string(l.events[len(l.events)-1].State), is.State)
		}
	}
	require.LessOrEqual(o.t, len(got), len(o.lives))
}
