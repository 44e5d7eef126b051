package tasks

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// WhyCode is a kind of WhyReason.
type WhyCode string

// Why a task waits. The first ones are the task's own, then come those of its queue and of the workers.
const (
	WhyNotDue        WhyCode = "not_due"        // its time has not come: Until
	WhyRetryLater    WhyCode = "retry_later"    // an attempt failed or snoozed: Error, Since, and Until its next one
	WhyPastExpiry    WhyCode = "past_expiry"    // it ends as REVOKED when a worker takes it: Since
	WhyInOutbox      WhyCode = "in_outbox"      // it is not in Redis yet, or not again: Since it was made
	WhyQueueFull     WhyCode = "queue_full"     // as it waits in the outbox until its queue has room: Count is its bound
	WhyQueuePaused   WhyCode = "queue_paused"   // Since, and By, where that is known
	WhyNoWorker      WhyCode = "no_worker"      // no living worker takes from its queue
	WhyUnknownTask   WhyCode = "unknown_task"   // those that do have no handler for it: Subject is the task
	WhyWorkersPaused WhyCode = "workers_paused" // those that have one are paused, or drain: Workers
	WhySlotsFull     WhyCode = "slots_full"     // their slots are taken: Count, and Runs
	WhyTasksBefore   WhyCode = "tasks_before"   // Count, AtLeast; Until is when they are through at the present rate
	WhyNext          WhyCode = "next"           // nothing is in its way
)

// Why a task does not run, or not any more.
const (
	WhyRunning       WhyCode = "running"         // Subject is the worker: Since, Until its deadline
	WhyTerminating   WhyCode = "terminating"     // it runs, and is told to end, as Error says
	WhyWorkerGone    WhyCode = "worker_gone"     // the worker Subject is silent: another takes it over within seconds
	WhySucceeded     WhyCode = "succeeded"       // Since, as in all that follow
	WhyRetriesUsedUp WhyCode = "retries_used_up" // Error, and Count attempts
	WhyNotRetried    WhyCode = "not_retried"     // its Error is one after which there is no other attempt
	WhyWorkersDied   WhyCode = "workers_died"    // Count of them, while they ran it
	WhyRevoked       WhyCode = "revoked"         // as Error says
	WhyExpired       WhyCode = "expired"         // it had not begun by then
	WhyLost          WhyCode = "lost"            // Redis has lost it, and nobody knows how it ended
)

// WhyCodes are all codes, in their order.
func WhyCodes() []WhyCode {
	return []WhyCode{
		WhyNotDue, WhyRetryLater, WhyPastExpiry, WhyInOutbox, WhyQueueFull, WhyQueuePaused, WhyNoWorker, WhyUnknownTask,
		WhyWorkersPaused, WhySlotsFull, WhyTasksBefore, WhyNext, WhyRunning, WhyTerminating, WhyWorkerGone,
		WhySucceeded, WhyRetriesUsedUp, WhyNotRetried, WhyWorkersDied, WhyRevoked, WhyExpired, WhyLost,
	}
}

// WhyReason is one reason why a task does not run. What does not apply is zero.
type WhyReason struct {
	Code    WhyCode
	Subject string     // the queue, task or worker that it is about; "" where that is the task itself
	Since   *time.Time // when it began, or was
	Until   *time.Time // when it ends, if that is known
	By      string     // who did so
	Error   string
	Count   int
	AtLeast bool     // there are more than Count
	Workers []string // their names, at most 10
	Runs    []WhyRun // what runs in the slots, the longest first, at most 10
}

// WhyRun is a task that runs in a slot that another one waits for.
type WhyRun struct {
	ID     string    `json:"id"`
	Task   string    `json:"task"`
	Queue  string    `json:"queue"`
	Worker string    `json:"worker"`
	Since  time.Time `json:"since"`
}

// Why is why a task does not run: all reasons that hold, in the order of the codes.
type Why struct {
	Task    *Info
	Reasons []WhyReason // one at least
}

// maxReasonList bounds the lists in a WhyReason.
const maxReasonList = 10

// Why tells why a task waits, who runs it, or what has ended it, or returns ErrNotFound. It costs four round trips, and
// Redis up to a millisecond in a queue of 100,000 tasks or more.
func (c *Client) Why(ctx context.Context, id string) (*Why, error) {
	found, inOutbox, err := c.lookUp(ctx, id)
	if err != nil {
		return nil, err
	}
	info := c.info(found)
	w := &Why{Task: info}
	switch {
	case info.State.Final():
		w.Reasons = WhyEnded(info)
	case found.State == "active":
		w.Reasons, err = c.whyRuns(ctx, found, info)
	default:
		w.Reasons, err = c.whyWaits(ctx, found, info, inOutbox)
	}
	if err != nil {
		return nil, lookupError(ctx, id, err)
	}
	return w, nil
}

// WhyEnded tells what has ended a task, as Client.Why does, of one that the history alone knows: nothing of one that has not
// ended.
func WhyEnded(info *Info) []WhyReason {
	r := WhyReason{Since: info.CompletedAt, Error: info.Error}
	switch info.State {
	case StateSuccess:
		r.Code = WhySucceeded
	case StateRevoked:
		r.Code = WhyRevoked
		if strings.HasPrefix(info.Error, expiredAt) {
			r.Code = WhyExpired
		}
	case StateLost:
		r.Code, r.Since = WhyLost, nil
	case StateFailure:
		r.Subject = info.Task
		switch attempts := max(len(info.Attempts), info.Retries+1); {
		case info.Crashes > 0 && info.Error == (&CrashError{info.Crashes}).Error():
			r.Code, r.Count = WhyWorkersDied, info.Crashes
		case info.Retries >= info.MaxRetries && info.MaxRetries > 0:
			r.Code, r.Count = WhyRetriesUsedUp, attempts
		default:
			r.Code = WhyNotRetried
		}
	default:
		return nil
	}
	return []WhyReason{r}
}

// whyRuns is of a task that a worker has.
func (c *Client) whyRuns(ctx context.Context, found *broker.StoredTask, info *Info) ([]WhyReason, error) {
	r := WhyReason{Code: WhyRunning, Subject: found.Worker, Since: info.StartedAt}
	lives, err := c.broker.WorkersOf(ctx, found.Queue)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(lives, func(w broker.WorkerLife) bool { return w.Holds(found.Owner) })
	switch {
	case at < 0 && found.Owner == "": // a worker of plain asynq has it
	case at < 0:
		r.Code, r.Since = WhyWorkerGone, nil
	case lives[at].Recorded:
		w := newWorker(&lives[at], &lives[at].WorkerRecord)
		if run := slices.IndexFunc(w.Runs, func(run Run) bool { return run.ID == found.ID && run.Queue == found.Queue }); run >= 0 {
			r.Since, r.Until = &w.Runs[run].Since, w.Runs[run].Deadline
		}
	}
	if found.IsRevoked {
		return []WhyReason{{Code: WhyTerminating, Subject: found.Worker, Error: found.Revoked}, r}, nil
	}
	return []WhyReason{r}, nil
}

// whyWaits is of a task that no worker has.
func (c *Client) whyWaits(ctx context.Context, found *broker.StoredTask, info *Info, inOutbox bool) ([]WhyReason, error) {
	now := time.Now()
	list := whyLater(info, now)
	stats, err := c.broker.QueueStats(ctx, []string{found.Queue})
	if err != nil {
		return nil, err
	}
	queue := c.queueInfo(stats[0])
	if inOutbox {
		list = append(list, WhyReason{Code: WhyInOutbox, Since: info.EnqueuedAt})
		if queue.MaxLength > 0 && queue.Pending >= queue.MaxLength {
			list = append(list, WhyReason{Code: WhyQueueFull, Subject: queue.Name, Count: queue.MaxLength})
		}
	}
	if queue.Paused != nil {
		r := WhyReason{Code: WhyQueuePaused, Subject: queue.Name, By: queue.Paused.By}
		r.Since = timeOrNil(queue.Paused.Since)
		list = append(list, r)
	}
	pending := found.State == "pending" && !inOutbox
	ofWorkers, err := c.whyOfWorkers(ctx, found, pending)
	if err != nil {
		return nil, err
	}
	list = append(list, ofWorkers...)
	if pending {
		position, err := c.broker.Position(ctx, found.Queue, found.ID, found.Priority)
		if err != nil {
			return nil, err
		}
		if position != nil && position.Before > 0 {
			r := WhyReason{Code: WhyTasksBefore, Subject: queue.Name, Count: position.Before, AtLeast: position.AtLeast}
			if moves := !slices.ContainsFunc(list, func(r WhyReason) bool { return r.Code != WhySlotsFull }); moves {
				r.Until = queue.reaches(position, now)
			}
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		list = append(list, WhyReason{Code: WhyNext, Subject: queue.Name})
	}
	return list, nil
}

// whyLater are the reasons that a task has by itself.
func whyLater(info *Info, now time.Time) (list []WhyReason) {
	if due := info.NextRunAt; due != nil && due.After(now) {
		if info.State == StateRetry {
			r := WhyReason{Code: WhyRetryLater, Error: info.Error, Until: due, Since: info.LastFailedAt, Count: max(info.Retries, len(info.Attempts))}
			if n := len(info.Attempts); n > 0 {
				r.Since = timeOrNil(info.Attempts[n-1].EndedAt)
			}
			list = append(list, r)
		} else {
			list = append(list, WhyReason{Code: WhyNotDue, Until: due})
		}
	}
	if info.Expires != nil && !info.Expires.After(now) {
		list = append(list, WhyReason{Code: WhyPastExpiry, Since: info.Expires})
	}
	return list
}

// reaches is when workers are through with the tasks before the position, nil when they end none, or there are too many to
// know.
func (q *QueueInfo) reaches(p *broker.Position, now time.Time) *time.Time {
	if p.AtLeast || q.OutLastMinute == 0 {
		return nil
	}
	t := now.Add(time.Duration(float64(p.Before) / float64(q.OutLastMinute) * float64(time.Minute))).UTC().Truncate(time.Second)
	return &t
}

// whyOfWorkers are the reasons that the workers of the queue give; of slots only with slots true.
func (c *Client) whyOfWorkers(ctx context.Context, task *broker.StoredTask, slots bool) ([]WhyReason, error) {
	is, err := c.broker.Service(ctx, task.Queue, task.Task)
	if err != nil {
		return nil, err
	}
	switch is {
	case broker.NoWorker:
		return []WhyReason{{Code: WhyNoWorker, Subject: task.Queue}}, nil
	case broker.NoHandler:
		return []WhyReason{{Code: WhyUnknownTask, Subject: task.Task}}, nil
	}
	lives, err := c.broker.WorkersOf(ctx, task.Queue)
	if err != nil {
		return nil, err
	}
	var idle []string // names of those that take nothing
	var runs []WhyRun
	taken, serving, free := 0, 0, false
	for i := range lives {
		w := newWorker(&lives[i], &lives[i].WorkerRecord)
		_, takes := w.Queues[task.Queue]
		switch {
		case !takes, w.TaskTypes != nil && !slices.Contains(w.TaskTypes, task.Task):
		case w.Phase != WorkerServing:
			idle = append(idle, w.Name)
		default:
			serving++
			free = free || w.Slots == 0 || w.Running < w.Slots
			taken += w.Slots
			for _, run := range w.Runs {
				runs = append(runs, WhyRun{run.ID, run.Task, run.Queue, w.Name, run.Since})
			}
		}
	}
	switch {
	case serving == 0 && len(idle) > 0:
		slices.Sort(idle)
		return []WhyReason{{Code: WhyWorkersPaused, Subject: task.Queue, Count: len(idle), Workers: idle[:min(len(idle), maxReasonList)]}}, nil
	case slots && serving > 0 && !free:
		slices.SortStableFunc(runs, func(a, b WhyRun) int { return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.ID, b.ID)) })
		return []WhyReason{{Code: WhySlotsFull, Subject: task.Queue, Count: taken, Runs: runs[:min(len(runs), maxReasonList)]}}, nil
	}
	return nil, nil
}
