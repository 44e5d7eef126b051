package ticks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors of Run.
var (
	// ErrNoScheduler says that no scheduler has taken a request. It was withdrawn.
	ErrNoScheduler = errors.New("no scheduler answers")
	// ErrRunUnsure says that a scheduler has taken a request and not answered. The task may have been made.
	ErrRunUnsure = errors.New("the scheduler that runs the schedule has not answered")
	// ErrTooManyRuns says that too many requests wait for a scheduler.
	ErrTooManyRuns = errors.New("too many requests to run a schedule now wait for a scheduler")
)

const (
	maxRuns    = 100
	answerKept = time.Minute
	runMargin  = time.Second // how much longer than its sender waits a request counts
	runPause   = 50 * time.Millisecond
)

// RunAnswer is what came of a request to run an entry now.
type RunAnswer struct {
	TaskID    string `json:"task_id"`             // "" with Refused or Unknown
	Duplicate bool   `json:"duplicate,omitempty"` // a unique task that has not ended stands for it
	Full      bool   `json:"full,omitempty"`      // the queue takes no more tasks
	Unknown   bool   `json:"unknown,omitempty"`   // the schedule in force has no such entry
	Refused   string `json:"refused,omitempty"`   // why the task can't be enqueued
}

// Run asks the schedulers to enqueue the task of an entry now, whether or not it is paused, and waits for the answer, until the
// wait is over. The same request enqueues it once.
func (s *Store) Run(ctx context.Context, request, entry string, wait time.Duration) (RunAnswer, error) {
	n, err := requestScript.Run(ctx, s.rdb, []string{keyRuns}, request, entry, (wait + runMargin).Milliseconds(), maxRuns).Int()
	if err != nil {
		return RunAnswer{}, fmt.Errorf("ask for a run of schedule %s: %w", entry, err)
	}
	if n == 0 {
		return RunAnswer{}, ErrTooManyRuns
	}
	until := time.Now().Add(wait)
	timer := time.NewTimer(runPause)
	defer timer.Stop()
	for time.Now().Before(until) {
		text, err := s.rdb.Get(ctx, keyAnswer+request).Result()
		if err == nil {
			return answerOf(text)
		}
		if !errors.Is(err, redis.Nil) {
			break // and take it back, if that is possible
		}
		timer.Reset(runPause)
		select {
		case <-timer.C:
			continue
		case <-ctx.Done():
		}
		break
	}
	return s.withdraw(ctx, request)
}

func (s *Store) withdraw(ctx context.Context, request string) (RunAnswer, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), runMargin)
	defer cancel()
	reply, err := withdrawScript.Run(ctx, s.rdb, []string{keyRuns, keyTaken, keyAnswer + request}, request).Slice()
	switch {
	case err != nil:
		return RunAnswer{}, fmt.Errorf("take back the run of a schedule: %w", err)
	case text(reply, 0) == "answered":
		return answerOf(text(reply, 1))
	case text(reply, 0) == "taken":
		return RunAnswer{}, ErrRunUnsure
	}
	return RunAnswer{}, ErrNoScheduler
}

func answerOf(text string) (a RunAnswer, err error) {
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return a, fmt.Errorf("the answer of a scheduler can't be read: %w", err)
	}
	return a, nil
}

// RunRequest is a request that waits.
type RunRequest struct{ ID, Entry string }

// Requests are those that wait, by id.
func (s *Store) Requests(ctx context.Context) ([]RunRequest, error) {
	found, err := s.rdb.HGetAll(ctx, keyRuns).Result()
	if err != nil {
		return nil, fmt.Errorf("read the requests to run schedules: %w", err)
	}
	list := make([]RunRequest, 0, len(found))
	for id, value := range found {
		_, entry, _ := strings.Cut(value, " ")
		list = append(list, RunRequest{id, entry})
	}
	slices.SortFunc(list, func(a, b RunRequest) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// TakeRun takes a request for a scheduler of the schedule in force; false when it is not to be done here.
func (s *Store) TakeRun(ctx context.Context, schedule string, r RunRequest) (bool, error) {
	reply, err := takeScript.Run(ctx, s.rdb, []string{keyCurrent, keyRuns, keyTaken}, schedule, r.ID).Text()
	if err != nil {
		return false, fmt.Errorf("take the request to run schedule %s: %w", r.Entry, err)
	}
	return reply == "go", nil
}

// AnswerRun answers a request that was taken, and notes its task in the entry's log.
func (s *Store) AnswerRun(ctx context.Context, r RunRequest, a RunAnswer) error {
	encoded, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("answer the request to run schedule %s: %w", r.Entry, err)
	}
	keys := []string{keyRuns, keyTaken, keyAnswer + r.ID, keyState + r.Entry, keyLog + r.Entry}
	if err := answerScript.Run(ctx, s.rdb, keys, r.ID, encoded, a.TaskID, answerKept.Milliseconds()).Err(); err != nil {
		return fmt.Errorf("answer the request to run schedule %s: %w", r.Entry, err)
	}
	return nil
}
