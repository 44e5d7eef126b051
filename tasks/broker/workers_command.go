package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

var (
	// ErrWorkerDied says that the worker of a command has ended before it answered.
	ErrWorkerDied = errors.New("the worker has died")
	// ErrNoAnswer says that a worker has not answered a command in time. The command was withdrawn.
	ErrNoAnswer = errors.New("the worker does not answer")
	// ErrCommandDiffers says that another command has the id.
	ErrCommandDiffers = errors.New("another command has this id")
	// ErrTooManyCommands says that too many commands wait for the worker.
	ErrTooManyCommands = errors.New("too many commands wait for the worker")
)

const (
	// commandPause is how long the sender waits for word of an answer before it asks, and sends again what Redis may have lost.
	commandPause = 250 * time.Millisecond
	// commandMargin is how much longer than its sender waits a command counts.
	commandMargin = time.Second
	// maxCommands bounds the commands that wait for one worker.
	maxCommands = 64
	// maxWatched is of how many workers a sender learns at once that they have died.
	maxWatched = 8
)

// What workers are asked, and what they say, as package tasks sees it.
type (
	WorkerCommand = format.Command
	WorkerAnswer  = format.Answer
	WorkerRecord  = format.WorkerRecord
	RunningRun    = format.RunningRun
)

// What a WorkerCommand may ask to do.
const (
	CommandPing     = format.CommandPing
	CommandResize   = format.CommandResize
	CommandQueues   = format.CommandQueues
	CommandPause    = format.CommandPause
	CommandResume   = format.CommandResume
	CommandDrain    = format.CommandDrain
	CommandLogLevel = format.CommandLogLevel
)

// Why a worker refuses a command: WorkerAnswer.Refusal.
const (
	RefusedDraining = format.RefusedDraining
	RefusedLevel    = format.RefusedLevel
	RefusedFixed    = format.RefusedFixed
)

// The phases of a worker.
const (
	PhaseServing  = format.PhaseServing
	PhasePaused   = format.PhasePaused
	PhaseDraining = format.PhaseDraining
)

// Bounds of what commands set.
const (
	MaxSlots  = format.MaxSlots
	MaxServed = format.MaxServed
	MaxWeight = format.MaxWeight
)

// LogLevels are the words for levels of a log.
func LogLevels() []string { return slices.Clone(format.LogLevels) }

// Commanded is what came of a command to one worker.
type Commanded struct {
	Answer *format.Answer // nil with an error
	Took   time.Duration  // from sending until the answer was here
	Err    error
}

// Command sends a command to each of the workers and waits for their answers, until ctx ends, which must have a deadline. It
// returns one result a worker. What Redis loses is sent again; a worker does a command once, by its id. An error is one of the
// above, or Redis's.
func (b *Broker) Command(ctx context.Context, to []WorkerLife, c format.Command) []Commanded {
	s := &sending{b: b, to: to, command: c, results: make([]Commanded, len(to)), unsure: make([]time.Time, len(to)), begun: time.Now()}
	s.open = len(to)
	text, err := json.Marshal(c)
	if err != nil {
		for i := range s.results {
			s.end(i, nil, fmt.Errorf("encode a command: %w", err))
		}
		return s.results
	}
	s.text = text
	told := make(chan struct{}, 1)
	listening, end := context.WithCancel(ctx)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		redisx.Subscription{
			Client: b.rdb, Channel: format.AnswersChannel,
			Subscribed: func() { tellOnce(told) },
			Message: func(id string) {
				if id == c.ID {
					tellOnce(told)
				}
			},
			Lost: func(error) {}, // the answers are asked for, too
		}.Run(listening)
	}()
	defer func() { end(); <-heard }()
	s.run(ctx, told)
	return s.results
}

func tellOnce(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sending is one Command.
type sending struct {
	b       *Broker
	to      []WorkerLife
	command format.Command
	text    []byte
	begun   time.Time
	results []Commanded
	open    int         // results that are to come
	unsure  []time.Time // since when no beat of the worker is known, though Redis answers; zero is that one is
	last    error       // of Redis
}

func (s *sending) run(ctx context.Context, told <-chan struct{}) {
	timer := time.NewTimer(commandPause)
	defer timer.Stop()
	for wake := true; ; {
		s.send(ctx, wake)
		if s.open == 0 {
			return
		}
		timer.Reset(commandPause)
		select {
		case <-told:
			wake = false
		case <-timer.C:
			wake = true
			s.lookForDead(ctx)
		case <-ctx.Done():
			s.withdraw(ctx)
			return
		}
	}
}

// send stores the command for each worker that has not answered, unless it is there, and takes the answers. With tell it wakes
// the workers.
func (s *sending) send(ctx context.Context, tell bool) {
	deadline, _ := ctx.Deadline()
	span := max(time.Until(deadline), 0) + commandMargin
	replies := s.each(ctx, sendCommandScript, s.command.ID, s.text, span.Milliseconds(), maxCommands)
	var wake []byte
	for i, call := range replies {
		if call == nil {
			continue
		}
		reply, err := call.Cmd.Slice()
		if err != nil || len(reply) == 0 {
			s.last = cmp.Or(err, errors.New("unexpected reply of the command script"))
			continue
		}
		switch reply[0] {
		case int64(1):
			text, _ := reply[1].(string)
			s.take(i, text)
		case int64(2):
			s.end(i, nil, ErrCommandDiffers)
		case int64(3):
			s.end(i, nil, ErrTooManyCommands)
		default:
			s.last = nil
			wake = append(append(append(wake, format.CommandMark+" "...), format.LifeTag(s.to[i].ID)...), '\n')
		}
	}
	if len(wake) == 0 || !tell {
		return
	}
	if err := s.b.rdb.Publish(ctx, format.TerminateChannel, wake).Err(); err != nil {
		s.b.logger.DebugContext(ctx, "workers are not told of a command; they find it by themselves", "command", s.command.Do, "error", err)
	}
}

// each runs a script for each worker that has not answered, in one round trip.
func (s *sending) each(ctx context.Context, script *redisx.Script, args ...any) []*redisx.Call {
	calls := make([]*redisx.Call, len(s.to))
	var list []*redisx.Call
	for i, w := range s.to {
		if s.results[i].done() {
			continue
		}
		keys := []string{format.CommandsKey(w.ID), format.CommandAnswerKey(w.ID, s.command.ID)}
		calls[i] = &redisx.Call{Script: script, Keys: keys, Args: args}
		list = append(list, calls[i])
	}
	if len(list) > 0 {
		redisx.RunScripts(ctx, s.b.rdb, list)
	}
	return calls
}

func (c *Commanded) done() bool { return c.Answer != nil || c.Err != nil }

func (s *sending) end(i int, a *format.Answer, err error) {
	if !s.results[i].done() {
		s.results[i] = Commanded{Answer: a, Took: time.Since(s.begun), Err: err}
		s.open--
	}
}

func (s *sending) take(i int, text string) {
	var a format.Answer
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		s.end(i, nil, fmt.Errorf("the answer of worker %s can't be read: %w", s.to[i].Name, err))
		return
	}
	asked, err := json.Marshal(a.Command)
	if err != nil || string(asked) != string(s.text) {
		s.end(i, nil, ErrCommandDiffers)
		return
	}
	s.end(i, &a, nil)
}

// lookForDead ends the wait for workers whose lives have ended. With many workers, which are asked for a sign of life, there is
// the time limit alone.
func (s *sending) lookForDead(ctx context.Context) {
	if len(s.to) > maxWatched {
		return
	}
	for i, w := range s.to {
		if s.results[i].done() || len(w.BeatsIn) == 0 {
			continue
		}
		limit := format.StandardLife
		if w.Life > 0 {
			limit = time.Duration(w.Life) * time.Millisecond
		}
		known, err := s.b.lifeEnded(ctx, w, limit)
		switch {
		case err != nil, known == 0:
			s.unsure[i] = time.Time{}
		case known == 1:
			s.end(i, nil, ErrWorkerDied)
		case s.unsure[i].IsZero():
			s.unsure[i] = time.Now()
		case time.Since(s.unsure[i]) > limit/2: // it beats three times within the limit
			s.end(i, nil, ErrWorkerDied)
		}
	}
}

// lifeEnded is what workers_ended.lua answers, of all queues.
func (b *Broker) lifeEnded(ctx context.Context, w WorkerLife, limit time.Duration) (int64, error) {
	groups := b.Together(w.BeatsIn)
	calls := make([]*redisx.Call, len(groups))
	for i, queues := range groups {
		calls[i] = &redisx.Call{Script: endedScript, Args: []any{w.ID, limit.Milliseconds()}}
		for _, q := range queues {
			calls[i].Keys = append(calls[i].Keys, format.LivesKey(q), format.EndedKey(q))
		}
	}
	redisx.RunScripts(ctx, b.rdb, calls)
	all := int64(2)
	for _, call := range calls {
		known, err := call.Cmd.Int64()
		if err != nil {
			return 2, err
		}
		if known == 1 {
			return 1, nil
		}
		all = min(all, known)
	}
	return all, nil
}

// withdrawLimit bounds the last look for an answer.
const withdrawLimit = time.Second

// withdraw takes the command back from all that have not answered.
func (s *sending) withdraw(ctx context.Context) {
	why := ErrNoAnswer
	if s.last != nil {
		why = fmt.Errorf("send a command to a worker: %w", s.last)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		why = ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawLimit)
	defer cancel()
	for i, call := range s.each(ctx, withdrawScript, s.command.ID) {
		if call == nil {
			continue
		}
		if text, err := call.Cmd.Text(); err == nil {
			s.take(i, text)
		}
		s.end(i, nil, why)
	}
}

var (
	sendCommandScript = format.Script("command_send.lua")
	withdrawScript    = format.Script("command_withdraw.lua")
	endedScript       = format.Script("workers_ended.lua")
)
