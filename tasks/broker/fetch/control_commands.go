package fetch

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// lookEvery is how often a worker asks for commands, should a message be lost. Senders repeat theirs while they wait.
	lookEvery = 1500 * time.Millisecond
	// lookLimit bounds one look, and an answer: on a Redis Cluster the node of the commands may be down.
	lookLimit = time.Second
	// keepAnswer is how long an answer is kept, and keptAnswers how many of the last a worker remembers by itself.
	keepAnswer  = 10 * time.Minute
	keptAnswers = 1024
)

// served is what a fetcher takes tasks from. It is not changed.
type served struct {
	weights map[string]int
	queues  []string
}

func newServed(weights map[string]int) *served {
	return &served{weights: maps.Clone(weights), queues: slices.Sorted(maps.Keys(weights))}
}

// asked tells for which of the queues asynq asks: those that it was started with.
func (s *served) asked(started map[string]int) func(string) bool {
	return func(queue string) bool { _, ok := started[queue]; return ok }
}

// control is what commands have made of a worker.
type control struct {
	slots  atomic.Int64
	woken  chan struct{} // receives when there may be commands
	over   chan struct{} // closed when obeys has ended
	drains chan struct{} // closed when the worker is told to drain

	mu       sync.Mutex
	phase    string
	served   []string
	asLocal  *broker.LocalWorker
	leaving  []string        // queues that are not served any more, in which this life holds tasks still
	joining  map[string]bool // queues that no beat has reached yet
	answered map[string]format.Answer
	order    []string // ids in answered, the first came first

	recording recording
}

// MaxSlots bounds the slots that a command may give a worker.
const MaxSlots = format.MaxSlots

// PhasePaused is the Phase of a fetcher that an operator has paused.
const PhasePaused = format.PhasePaused

func (c *control) begin(f *Fetcher, now *served) {
	c.slots.Store(int64(max(f.cfg.Slots, 1)))
	c.woken, c.drains = make(chan struct{}, 1), make(chan struct{})
	c.phase, c.answered, c.joining = format.PhaseServing, make(map[string]format.Answer), make(map[string]bool)
	c.recording.started, c.served = time.Now(), now.queues
	c.serveLocal(f, now)
}

// serveLocal tells this process what the worker takes.
func (c *control) serveLocal(f *Fetcher, now *served) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asLocal != nil {
		f.b.RemoveWorker(c.asLocal)
	}
	c.asLocal = &broker.LocalWorker{Queues: now.weights, Tasks: f.cfg.Tasks}
	f.b.AddWorker(c.asLocal)
}

// stop notes that the worker takes nothing any more.
func (c *control) stop(f *Fetcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != format.PhaseDraining {
		c.phase = format.PhaseDraining
		close(c.drains)
	}
	f.b.RemoveWorker(c.asLocal)
}

// look has the worker ask for commands soon.
func (c *control) look() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// Phase is serving, paused or draining.
func (f *Fetcher) Phase() string {
	f.control.mu.Lock()
	defer f.control.mu.Unlock()
	return f.control.phase
}

// Slots is how many tasks the worker runs at a time, at most.
func (f *Fetcher) Slots() int { return int(f.control.slots.Load()) }

// Draining is closed when a command tells the worker to drain: the fetcher gives out nothing any more then, and who runs the
// server is to stop it once Busy is false. It is closed by Stop, too.
func (f *Fetcher) Draining() <-chan struct{} { return f.control.drains }

// Busy tells whether tasks are not acknowledged that the server has got.
func (f *Fetcher) Busy() bool { return f.deliveries.len() > 0 }

// awaitSlot waits until the server may begin a task, but no longer than a dequeue may. It is false when it may not.
func (f *Fetcher) awaitSlot(begun time.Time) bool {
	var timer *time.Timer
	for {
		if f.stopped() {
			return false
		}
		if !f.prefetched.isHeld() && (f.cfg.MaxSlots == 0 || f.deliveries.len() < f.Slots()) {
			return true
		}
		if timer == nil {
			timer = time.NewTimer(callLimit - time.Since(begun))
			defer timer.Stop()
		}
		select {
		case <-f.closed:
			return false
		case <-timer.C:
			return false
		case <-f.deliveries.freed:
		}
	}
}

// obeys does what commands say, and keeps the record, until ctx ends.
func (f *Fetcher) obeys(ctx context.Context) {
	defer close(f.control.over)
	if f.cfg.Tasks == nil {
		return
	}
	looks, tells := time.NewTicker(lookEvery), time.NewTicker(recordEvery)
	defer looks.Stop()
	defer tells.Stop()
	swept := time.Now()
	for {
		select {
		case <-ctx.Done():
			f.obey(context.WithoutCancel(ctx)) // who sent one to a worker that ends gets its answer
			return
		case <-f.control.woken:
		case <-looks.C:
		case <-tells.C:
			f.tell(ctx)
			if time.Since(swept) > sweepEvery {
				swept = time.Now()
				f.sweepAdded(ctx)
			}
			continue
		}
		f.obey(ctx)
	}
}

// obey carries out the commands that wait, and answers each when it has taken effect.
func (f *Fetcher) obey(ctx context.Context) {
	list, err := f.takeCommands(ctx)
	if err != nil {
		f.logger.DebugContext(ctx, "not known whether there are commands; the next look tells", "worker", f.cfg.Name, "error", err)
		return
	}
	for i := 0; i+1 < len(list); i += 2 {
		var c format.Command
		if err := json.Unmarshal([]byte(list[i+1]), &c); err != nil {
			c = format.Command{} // which is unknown
		}
		c.ID = list[i]
		answer, again := f.control.before(c.ID)
		if !again {
			answer = f.carryOut(ctx, c)
			f.control.remember(answer)
			f.writeRecord(ctx)
		}
		if err := f.answer(ctx, answer); err != nil {
			f.logger.WarnContext(ctx, "the answer to a command is not stored; it is with the next look", "worker", f.cfg.Name,
				"command", c.Do, "command_id", c.ID, "error", err)
		}
	}
}

// takeCommands gives ids and commands, in turn. Mostly there are none, which is one command of Redis to know; a script's
// count one by one.
func (f *Fetcher) takeCommands(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	key := format.CommandsKey(f.life.name)
	if n, err := f.b.Redis().HLen(ctx, key).Result(); n == 0 || err != nil {
		return nil, err
	}
	return takeCommandsScript.Run(ctx, f.b.Redis(), []string{key}).StringSlice()
}

func (f *Fetcher) answer(ctx context.Context, a format.Answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	keys := []string{format.CommandsKey(f.life.name), format.CommandAnswerKey(f.life.name, a.Command.ID)}
	return answerScript.Run(ctx, f.b.Redis(), keys, a.Command.ID, text, int(keepAnswer.Seconds()), format.AnswersChannel).Err()
}

// before gives the answer to a command that was carried out already.
func (c *control) before(id string) (format.Answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.answered[id]
	return a, ok
}

func (c *control) remember(a format.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered[a.Command.ID] = a
	c.order = append(c.order, a.Command.ID)
	if len(c.order) > keptAnswers {
		delete(c.answered, c.order[0])
		c.order = c.order[1:]
	}
}

// carryOut does what one command says.
func (f *Fetcher) carryOut(ctx context.Context, c format.Command) format.Answer {
	refusal := f.apply(ctx, c)
	if c.Do != format.CommandPing {
		f.logger.InfoContext(ctx, "command", "worker", f.cfg.Name, "command", c.Do, "command_id", c.ID, "slots", c.Slots, "queues", c.Queues,
			"level", c.Level, "refusal", refusal)
	}
	now := f.describe()
	now.Tasks, now.Runs = nil, nil
	return format.Answer{Command: c, Refusal: refusal, Worker: &now}
}

// apply returns why it refuses, or "".
func (f *Fetcher) apply(ctx context.Context, c format.Command) (refusal string) {
	draining := f.Phase() == format.PhaseDraining
	switch c.Do {
	case format.CommandPing:
	case format.CommandResize:
		switch {
		case c.Slots < 1 || c.Slots > format.MaxSlots:
			return format.RefusedUnknown
		case draining:
			return format.RefusedDraining
		case f.cfg.MaxSlots < c.Slots:
			return format.RefusedFixed
		}
		f.control.slots.Store(int64(c.Slots))
		f.deliveries.tell()
	case format.CommandQueues:
		switch {
		case !validQueues(c.Queues):
			return format.RefusedUnknown
		case draining:
			return format.RefusedDraining
		}
		f.setQueues(ctx, c.Queues)
	case format.CommandPause, format.CommandResume:
		if draining {
			return format.RefusedDraining
		}
		f.pause(c.Do == format.CommandPause)
	case format.CommandDrain:
		f.drain()
	case format.CommandLogLevel:
		var level slog.Level
		switch {
		case f.cfg.LogLevel == nil:
			return format.RefusedLevel
		case !slices.Contains(format.LogLevels, c.Level), level.UnmarshalText([]byte(c.Level)) != nil:
			return format.RefusedUnknown
		}
		f.cfg.LogLevel.Set(level)
	default:
		return format.RefusedUnknown
	}
	return ""
}

func validQueues(weights map[string]int) bool {
	for name, weight := range weights {
		if name == "" || strings.ContainsAny(name, "{}") || weight < 1 || weight > format.MaxWeight {
			return false
		}
	}
	return len(weights) > 0 && len(weights) <= format.MaxServed
}

// setPhase is false when the worker drains already.
func (c *control) setPhase(phase string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == format.PhaseDraining {
		return false
	}
	c.phase = phase
	return true
}

// pause has the worker take nothing until it is told otherwise, and puts back what was fetched ahead.
func (f *Fetcher) pause(on bool) {
	if on {
		if f.control.setPhase(format.PhasePaused) {
			f.putBackAhead()
		}
		return
	}
	if f.control.setPhase(format.PhaseServing) {
		f.lastFetch.Store(time.Now().UnixNano())
		f.prefetched.release()
		f.deliveries.tell()
	}
}

// drain has the worker take nothing any more.
func (f *Fetcher) drain() {
	f.control.mu.Lock()
	first := f.control.phase != format.PhaseDraining
	f.control.phase = format.PhaseDraining
	f.control.mu.Unlock()
	if first {
		f.putBackAhead()
		f.control.mu.Lock()
		defer f.control.mu.Unlock()
		close(f.control.drains)
	}
}

// putBackAhead holds all that was fetched ahead of free slots, and returns when it is back in its queues. What a fetch brings
// that is under way is put back when it comes.
func (f *Fetcher) putBackAhead() {
	rest := f.prefetched.hold()
	f.sleeper.wake()
	f.returnBatches(rest)
}

var (
	takeCommandsScript = format.Script("fetch/command_take.lua")
	answerScript       = format.Script("fetch/command_answer.lua")
)
