package tasks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// WorkerPhase is what a worker does.
type WorkerPhase string

// The phases of workers.
const (
	WorkerServing  WorkerPhase = broker.PhaseServing
	WorkerPaused   WorkerPhase = broker.PhasePaused   // it takes no tasks until it is resumed
	WorkerDraining WorkerPhase = broker.PhaseDraining // it takes no tasks any more, and ends when those that run have
)

// Worker is a worker process that lives. Of one of an earlier build, ID, Name, LastSeen and Queues are known, and mostly
// TaskTypes.
type Worker struct {
	ID        string         `json:"id"`   // of this process; the next one of the name has another
	Name      string         `json:"name"` // as configured; host:pid if it is not
	Host      string         `json:"host"`
	PID       int            `json:"pid"`
	Version   string         `json:"version"` // of its program
	Since     *time.Time     `json:"since"`   // when it began, by its own clock; nil if that is not known
	LastSeen  time.Time      `json:"last_seen_at"`
	Phase     WorkerPhase    `json:"phase"`
	Queues    map[string]int `json:"queues"` // weight by queue
	Slots     int            `json:"slots"`  // how many tasks it runs at a time, at most; 0 if that is not known
	Running   int            `json:"running"`
	Runs      []Run          `json:"runs"`       // what runs: the longest first, at most 256
	TaskTypes []string       `json:"task_types"` // that it has handlers for; nil if it does not tell
	LogLevel  string         `json:"log_level"`  // "" if it can't be set
	Commands  bool           `json:"commands"`   // it takes commands
}

// Run is a task that runs in one of a worker's slots. It is a second late at most.
type Run struct {
	ID       string          `json:"id"` // of the task
	Task     string          `json:"task"`
	Queue    string          `json:"queue"`
	Attempt  int             `json:"attempt"` // 1 is the first
	Since    time.Time       `json:"since"`
	Deadline *time.Time      `json:"deadline"` // when its context ends; nil while that is not known
	Progress json.RawMessage `json:"progress"` // as Info.Progress has it; null without, and of encrypted tasks
}

var (
	// ErrUnknownWorker says that no worker of that name, or id, lives.
	ErrUnknownWorker = errors.New("no such worker")
	// ErrWorkerDied says that a worker has ended before it answered a command. What the command was to do may have been done.
	ErrWorkerDied = broker.ErrWorkerDied
	// ErrNoAnswer says that a worker has not answered a command in time. The command was withdrawn.
	ErrNoAnswer = broker.ErrNoAnswer
	// ErrWorkerBusy says that too many commands wait for a worker.
	ErrWorkerBusy = broker.ErrTooManyCommands
)

// WorkerError says that a worker does not do what a command says.
type WorkerError struct {
	Worker string // its name
	Reason WorkerRefusal
	IDs    []string // with WorkerAmbiguous: of the workers that have the name
}

// WorkerRefusal is why a worker does not do what a command says.
type WorkerRefusal string

// Why workers refuse commands.
const (
	WorkerIsDraining WorkerRefusal = "draining"  // it drains, or ends
	WorkerIsOlder    WorkerRefusal = "older"     // its build takes no commands, or not this one
	WorkerLogFixed   WorkerRefusal = "log-level" // its log has no level that can be set
	WorkerSlotsFixed WorkerRefusal = "slots"     // its number of slots can't change
	WorkerAmbiguous  WorkerRefusal = "ambiguous" // several workers have the name
)

func (e *WorkerError) Error() string {
	switch e.Reason {
	case WorkerIsDraining:
		return fmt.Sprintf("worker %s drains: it takes nothing any more, and ends", e.Worker)
	case WorkerLogFixed:
		return fmt.Sprintf("the log of worker %s has no level that can be set", e.Worker)
	case WorkerSlotsFixed:
		return fmt.Sprintf("worker %s can't change its number of slots", e.Worker)
	case WorkerAmbiguous:
		return fmt.Sprintf("%d workers have the name %s: use one of the ids %s", len(e.IDs), e.Worker, strings.Join(e.IDs, ", "))
	}
	return fmt.Sprintf("worker %s is of an earlier build, which takes no such command", e.Worker)
}

// Bounds of commands to workers.
const (
	MaxWorkers         = 100              // of a page
	MaxWorkerSlots     = broker.MaxSlots  // that ResizeWorker gives
	MaxWorkerQueues    = broker.MaxServed // of SetWorkerQueues
	MaxQueueWeight     = broker.MaxWeight
	DefaultCommandWait = 10 * time.Second
	MaxCommandWait     = 30 * time.Second
)

// CommandOption is an option of a command to a worker.
type CommandOption func(*commandOptions)

type commandOptions struct {
	id   string
	wait time.Duration
}

// CommandID names the command, 1 to 128 letters, digits or any of . _ : @ -. A second one of the same id and content has no
// effect, and gets the answer of the first, for ten minutes. Without it an id is made.
func CommandID(id string) CommandOption { return func(o *commandOptions) { o.id = id } }

// CommandWait is how long the answer is waited for; DefaultCommandWait without it, up to MaxCommandWait.
func CommandWait(d time.Duration) CommandOption { return func(o *commandOptions) { o.wait = d } }

// Workers lists the workers that live, by name, 1 to MaxWorkers at a time. cursor is what the page before gave as next, ""
// for the first page; on the last page next is "". An *OptionError refuses a limit out of range and a cursor that was not
// given out.
func (c *Client) Workers(ctx context.Context, cursor string, limit int) (page []*Worker, next string, err error) {
	if limit < 1 || limit > MaxWorkers {
		return nil, "", optionErrorf("limit", "%d is not between 1 and %d", limit, MaxWorkers)
	}
	after, err := workerCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	lives, err := c.broker.LivingWorkers(ctx)
	if err != nil {
		return nil, "", brokerError(ctx, err)
	}
	if cursor != "" {
		at, _ := slices.BinarySearchFunc(lives, after, func(w broker.WorkerLife, after [2]string) int {
			if w.Name != after[0] {
				return strings.Compare(w.Name, after[0])
			}
			if w.ID <= after[1] {
				return -1
			}
			return 1
		})
		lives = lives[at:]
	}
	if len(lives) > limit {
		lives = lives[:limit]
		last := lives[limit-1]
		next = base64.RawURLEncoding.EncodeToString([]byte(last.Name + "\x00" + last.ID))
	}
	page, err = c.readWorkers(ctx, lives)
	return page, next, err
}

// workerCursor is the name and the id of the last worker of the page before.
func workerCursor(cursor string) (after [2]string, err error) {
	if cursor == "" {
		return after, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	name, id, ok := strings.Cut(string(text), "\x00")
	if err != nil || !ok || !strings.HasPrefix(id, name) {
		return after, optionErrorf("cursor", "is not one that a page gave")
	}
	return [2]string{name, id}, nil
}

func (c *Client) readWorkers(ctx context.Context, lives []broker.WorkerLife) ([]*Worker, error) {
	if err := c.broker.ReadWorkers(ctx, lives); err != nil {
		return nil, brokerError(ctx, err)
	}
	list := make([]*Worker, len(lives))
	for i := range lives {
		list[i] = newWorker(&lives[i], &lives[i].WorkerRecord)
	}
	return list, nil
}

// newWorker is what its record says of a worker.
func newWorker(life *broker.WorkerLife, r *broker.WorkerRecord) *Worker {
	w := &Worker{
		ID: life.ID, Name: life.Name, LastSeen: time.Now().Add(-life.Silent).UTC().Truncate(time.Millisecond),
		Host: r.Host, PID: r.PID, Version: r.Version, Phase: WorkerPhase(r.Phase), Queues: r.Queues,
		Slots: r.Slots, Running: r.Running, TaskTypes: r.Tasks, LogLevel: r.LogLevel, Commands: r.Commands,
		Runs: make([]Run, len(r.Runs)),
	}
	if w.Phase == "" {
		w.Phase = WorkerServing
	}
	if w.Queues == nil {
		w.Queues = make(map[string]int, len(life.BeatsIn))
		for _, q := range life.BeatsIn {
			w.Queues[q] = 1
		}
	}
	if r.Started != 0 {
		w.Since = milli(r.Started)
	}
	for i, run := range r.Runs {
		w.Runs[i] = Run{
			ID: run.ID, Task: run.Task, Queue: run.Queue, Attempt: run.Attempt, Since: *milli(run.Since), Progress: run.Progress,
		}
		if run.Deadline != 0 {
			w.Runs[i].Deadline = milli(run.Deadline)
		}
	}
	return w
}

func milli(ms int64) *time.Time {
	t := time.UnixMilli(ms).UTC()
	return &t
}

// Worker is the worker of that name, or id, that lives; of several of one name, the one that began last. ErrUnknownWorker
// says that there is none.
func (c *Client) Worker(ctx context.Context, name string) (*Worker, error) {
	lives, err := c.workersNamed(ctx, name)
	if err != nil {
		return nil, err
	}
	list, err := c.readWorkers(ctx, lives)
	if err != nil {
		return nil, err
	}
	return slices.MaxFunc(list, func(a, b *Worker) int {
		switch {
		case a.Since == nil || b.Since == nil:
			return b.LastSeen.Compare(a.LastSeen)
		default:
			return a.Since.Compare(*b.Since)
		}
	}), nil
}

func (c *Client) workersNamed(ctx context.Context, name string) ([]broker.WorkerLife, error) {
	all, err := c.broker.LivingWorkers(ctx)
	if err != nil {
		return nil, brokerError(ctx, err)
	}
	named := slices.DeleteFunc(all, func(w broker.WorkerLife) bool { return w.Name != name && w.ID != name })
	if len(named) == 0 {
		return nil, fmt.Errorf("worker %q: %w", name, ErrUnknownWorker)
	}
	return named, nil
}

// ResizeWorker gives a worker so many slots, 1 to MaxWorkerSlots. With fewer, tasks that run go on, and nothing begins until a
// slot is free.
//
// It returns, as the other commands do, when the worker has done so, with how the worker is then. A name that several workers have is a *WorkerError, as is every refusal of the worker; others are
// ErrUnknownWorker, ErrWorkerDied, ErrNoAnswer, ErrWorkerBusy and *OptionError. What a command sets lasts as long as the
// worker's process.
func (c *Client) ResizeWorker(ctx context.Context, name string, slots int, opts ...CommandOption) (*Worker, error) {
	if slots < 1 || slots > MaxWorkerSlots {
		return nil, optionErrorf("concurrency", "%d is not between 1 and %d", slots, MaxWorkerSlots)
	}
	return c.command(ctx, name, broker.WorkerCommand{Do: broker.CommandResize, Slots: slots}, opts)
}

// SetWorkerQueues has a worker take tasks from these queues alone, by weight (1 to MaxQueueWeight). Tasks of others that run go
// on, and what it had fetched ahead is put back.
func (c *Client) SetWorkerQueues(ctx context.Context, name string, weights map[string]int, opts ...CommandOption) (*Worker, error) {
	if len(weights) == 0 || len(weights) > MaxWorkerQueues {
		return nil, optionErrorf("queues", "%d are not between 1 and %d", len(weights), MaxWorkerQueues)
	}
	for _, queue := range slices.Sorted(maps.Keys(weights)) {
		if !ValidQueue(queue) {
			return nil, optionErrorf("queues", "%q is not 1 to 64 letters, digits, '_' or '-', the first a letter or digit", queue)
		}
		if weight := weights[queue]; weight < 1 || weight > MaxQueueWeight {
			return nil, optionErrorf("queues", "the weight of %s, %d, is not between 1 and %d", queue, weight, MaxQueueWeight)
		}
	}
	return c.command(ctx, name, broker.WorkerCommand{Do: broker.CommandQueues, Queues: weights}, opts)
}

// PauseWorker has a worker begin no task until ResumeWorker. Tasks that run go on, and what it had fetched ahead is put back.
func (c *Client) PauseWorker(ctx context.Context, name string, opts ...CommandOption) (*Worker, error) {
	return c.command(ctx, name, broker.WorkerCommand{Do: broker.CommandPause}, opts)
}

// ResumeWorker ends a pause.
func (c *Client) ResumeWorker(ctx context.Context, name string, opts ...CommandOption) (*Worker, error) {
	return c.command(ctx, name, broker.WorkerCommand{Do: broker.CommandResume}, opts)
}

// DrainWorker has a worker begin no task any more: it puts back what it had fetched ahead, lets those finish that run, for as
// long as they may, and then its process ends with exit code 0. The call returns when nothing begins any more. It can't be
// taken back.
func (c *Client) DrainWorker(ctx context.Context, name string, opts ...CommandOption) (*Worker, error) {
	return c.command(ctx, name, broker.WorkerCommand{Do: broker.CommandDrain}, opts)
}

// SetWorkerLogLevel has a worker's process log from this level on: debug, info, warn or error.
func (c *Client) SetWorkerLogLevel(ctx context.Context, name, level string, opts ...CommandOption) (*Worker, error) {
	if levels := broker.LogLevels(); !slices.Contains(levels, level) {
		return nil, optionErrorf("level", "%q is not one of %s", level, strings.Join(levels, ", "))
	}
	return c.command(ctx, name, broker.WorkerCommand{Do: broker.CommandLogLevel, Level: level}, opts)
}

// Ping is a worker's answer to a ping.
type Ping struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	RoundTrip *float64 `json:"round_trip_ms"` // through Redis and back; nil without an answer
	Error     string   `json:"error"`         // why there is none: "no answer", or "older" of a build that takes no commands
}

// PingWorkers asks all workers that live for a sign of life, and waits for CommandWait, a second without it, for their answers.
// It lists them by name.
func (c *Client) PingWorkers(ctx context.Context, opts ...CommandOption) ([]Ping, error) {
	o, err := readCommandOptions(append([]CommandOption{CommandWait(time.Second)}, opts...))
	if err != nil {
		return nil, err
	}
	lives, err := c.broker.LivingWorkers(ctx)
	if err == nil {
		err = c.broker.ReadWorkers(ctx, lives)
	}
	if err != nil {
		return nil, brokerError(ctx, err)
	}
	list := make([]Ping, len(lives))
	var asked []broker.WorkerLife
	var at []int
	for i, w := range lives {
		list[i] = Ping{ID: w.ID, Name: w.Name, Error: "older"}
		if w.Commands {
			asked, at = append(asked, w), append(at, i)
		}
	}
	if len(asked) == 0 {
		return list, nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	for i, got := range c.broker.Command(ctx, asked, broker.WorkerCommand{ID: o.id, Do: broker.CommandPing}) {
		p := &list[at[i]]
		switch {
		case got.Err == nil:
			took := float64(got.Took.Microseconds()) / 1000
			p.RoundTrip, p.Error = &took, ""
		case errors.Is(got.Err, broker.ErrCommandDiffers):
			return nil, optionErrorf("command_id", "another command has this id")
		default:
			p.Error = "no answer"
		}
	}
	return list, nil
}

func readCommandOptions(opts []CommandOption) (commandOptions, error) {
	o := commandOptions{wait: DefaultCommandWait}
	for _, set := range opts {
		set(&o)
	}
	if o.id == "" {
		o.id = NewID("command")
	}
	if !ValidID(o.id) {
		return o, optionErrorf("command_id", "%q is not 1 to 128 letters, digits or any of . _ : @ -", o.id)
	}
	if o.wait <= 0 || o.wait > MaxCommandWait {
		return o, optionErrorf("wait", "%v is not more than 0 and at most %v", o.wait, MaxCommandWait)
	}
	return o, nil
}

// command sends a command to the worker of that name and waits for its answer.
func (c *Client) command(ctx context.Context, name string, command broker.WorkerCommand, opts []CommandOption) (*Worker, error) {
	o, err := readCommandOptions(opts)
	if err != nil {
		return nil, err
	}
	command.ID = o.id
	lives, err := c.workersNamed(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(lives) > 1 {
		e := &WorkerError{Worker: name, Reason: WorkerAmbiguous}
		for _, w := range lives {
			e.IDs = append(e.IDs, w.ID)
		}
		return nil, e
	}
	if err := c.broker.ReadWorkers(ctx, lives); err != nil {
		return nil, brokerError(ctx, err)
	}
	w := &lives[0]
	if !w.Commands {
		return nil, &WorkerError{Worker: w.Name, Reason: WorkerIsOlder}
	}
	waiting, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	got := c.broker.Command(waiting, lives, command)[0]
	switch {
	case got.Err == nil:
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(got.Err, broker.ErrCommandDiffers):
		return nil, optionErrorf("command_id", "another command has this id")
	case errors.Is(got.Err, ErrWorkerDied), errors.Is(got.Err, ErrNoAnswer), errors.Is(got.Err, ErrWorkerBusy):
		return nil, fmt.Errorf("worker %s, %s: %w", w.Name, command.Do, got.Err)
	default:
		return nil, brokerError(ctx, got.Err)
	}
	switch got.Answer.Refusal {
	case "":
	case broker.RefusedDraining:
		return nil, &WorkerError{Worker: w.Name, Reason: WorkerIsDraining}
	case broker.RefusedLevel:
		return nil, &WorkerError{Worker: w.Name, Reason: WorkerLogFixed}
	case broker.RefusedFixed:
		return nil, &WorkerError{Worker: w.Name, Reason: WorkerSlotsFixed}
	default:
		return nil, &WorkerError{Worker: w.Name, Reason: WorkerIsOlder}
	}
	w.Silent = 0
	now := *got.Answer.Worker
	if err := c.broker.ReadWorkers(ctx, lives); err == nil { // the worker has written its record before it answered
		now.Runs = w.Runs
	}
	now.Tasks = w.Tasks
	return newWorker(w, &now), nil
}
