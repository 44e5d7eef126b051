package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
)

// RunArgs are none: the task's id names the run.
type RunArgs struct{}

// Result is what a run has done.
type Result struct {
	State   tasks.State `json:"state"` // SUCCESS, or REVOKED when it was stopped
	Done    int64       `json:"done"`
	Skipped int64       `json:"skipped"`
	Failed  int64       `json:"failed"`
}

// Task does a run of Store.Start. A run that was stopped is no failure: its task is SUCCESS, with a result that says so. Enqueued
// by itself, it fails.
var Task = tasks.Define[RunArgs, Result]("bulk.run",
	tasks.Queue("low"),
	tasks.Priority(tasks.High),
	tasks.MaxRetries(10),
	tasks.Backoff(time.Second, time.Minute),
	tasks.SnoozeFor(tasks.StoreAway()),
	tasks.Timeout(24*time.Hour),
	tasks.MaxCrashes(20),
	tasks.Retention(24*time.Hour),
)

// Bind gives the package's task its handler.
func Bind(m *tasks.Mux, s *Store) {
	tasks.Handle(m, Task, func(ctx context.Context, _ RunArgs) (Result, error) {
		return s.run(ctx, tasks.Current(ctx).ID)
	})
}

// run does a run, or goes on with it.
func (s *Store) run(ctx context.Context, id string) (Result, error) {
	row, err := s.row(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Result{}, tasks.Permanent(fmt.Errorf("%w: a task %s is made by starting one", err, Task.Name()))
	}
	if err != nil {
		return Result{}, err
	}
	filter, err := decodeFilter(row.Filter)
	if err != nil {
		return Result{}, tasks.Permanent(err)
	}
	r := &runner{Store: s, row: row, filter: filter}
	if row.FinishedAt == nil {
		if err := r.work(ctx); err != nil {
			return Result{}, err
		}
	}
	return Result{State: tasks.State(row.State), Done: row.Done, Skipped: row.Skipped, Failed: row.Failed}, nil
}

// runner is a run at work.
type runner struct {
	*Store
	row    *models.BulkRun // as it is stored
	filter Filter
	again  records // of tasks that run again, since the last checkpoint
}

func (r *runner) work(ctx context.Context) error {
	defer r.writeAgain(ctx)
	if r.row.StartedAt == nil {
		now := r.now().UTC().Truncate(time.Microsecond)
		r.row.StartedAt, r.row.State = &now, string(tasks.StateStarted)
		if err := r.checkpoint(ctx); err != nil {
			return err
		}
	}
	q := r.filter.query(r.row.CreatedAt.UTC())
	q.Cursor = r.row.Position
	w, err := r.history.Walk(ctx, q, Action(r.row.Action).states()...)
	if wrong := new(history.QueryError); errors.As(err, &wrong) {
		return r.finish(ctx, tasks.StateFailure, wrong.Error())
	}
	if err != nil {
		return err
	}
	for !r.row.Stop {
		found, looked, err := r.next(ctx, w)
		if err != nil {
			return err
		}
		if err := r.reach(beforeActs); err != nil {
			return err
		}
		if err := r.act(ctx, found); err != nil {
			return err
		}
		if err := r.reach(beforeCheckpoint); err != nil {
			return err
		}
		r.row.LookedAt += int64(looked)
		if looked > 0 {
			r.row.Position = w.Cursor()
		}
		if looked < r.batch {
			return r.finish(ctx, tasks.StateSuccess, "")
		}
		if err := r.checkpoint(ctx); err != nil {
			return err
		}
		// A report that is refused ends the task by its context.
		_ = tasks.Progress(ctx, r.row.Done, 0, fmt.Sprintf("tasks done; %d looked at", r.row.LookedAt))
	}
	if r.row.FinishedAt != nil { // it was stopped before it began, or its task was revoked
		return nil
	}
	return r.finish(ctx, tasks.StateRevoked, "")
}

// writeAgain writes the records of what runs again when no checkpoint has: no successor comes when the run was ended meanwhile.
func (r *runner) writeAgain(ctx context.Context) {
	if len(r.again) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := r.history.WriteWith(ctx, r.again, func(history.Exec) error { return nil }); err != nil {
		r.logger.WarnContext(ctx, "tasks that run again are shown as FAILURE until they run", "task_id", r.row.ID, "tasks", len(r.again), "error", err)
	}
}

// next is the next batch. A database that does not answer ends it: the task is tried again.
func (r *runner) next(ctx context.Context, w *history.Walk) (found []history.Found, looked int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return w.Next(ctx, r.batch)
}

func (r *runner) reach(p point) error {
	if r.reached == nil {
		return nil
	}
	return r.reached(p)
}

func (r *runner) finish(ctx context.Context, state tasks.State, text string) error {
	now := r.now().UTC().Truncate(time.Microsecond)
	r.row.State, r.row.Error, r.row.FinishedAt = string(state), shorten(text), &now
	if err := r.checkpoint(ctx); err != nil {
		return err
	}
	r.logger.InfoContext(ctx, "a bulk run has ended", "task_id", r.row.ID, "action", r.row.Action, "by", r.row.MadeBy, "state", r.row.State,
		"done", r.row.Done, "skipped", r.row.Skipped, "failed", r.row.Failed)
	return nil
}

// checkpoint writes the row, unless another worker has the run by now, and reads whether it is to stop. With it go the records of
// what runs again: what a worker has in memory dies with it, and nobody compares a record with Redis that says that a task has failed.
func (r *runner) checkpoint(ctx context.Context) error {
	row := r.row
	fenced := errors.New("another worker has it")
	err := r.history.WriteWith(ctx, r.again, func(exec history.Exec) error {
		n, err := exec("UPDATE paidui_bulk SET state = ?, step = ?, position = ?, looked_at = ?, done = ?, skipped = ?, gone = ?, failed = ?,"+
			" failures = ?, error = ?, started_at = ?, finished_at = ? WHERE id = ? AND step = ? AND finished_at IS NULL",
			row.State, row.Step+1, row.Position, row.LookedAt, row.Done, row.Skipped, row.Gone, row.Failed, row.Failures, row.Error,
			orNull(row.StartedAt), orNull(row.FinishedAt), row.ID, row.Step)
		if err == nil && n == 0 {
			return fenced
		}
		return err
	})
	if err != nil && !errors.Is(err, fenced) {
		return fmt.Errorf("bulk: write how far run %s is: %w", row.ID, err)
	}
	written := err == nil
	stored, err := r.Store.row(ctx, row.ID)
	switch {
	case err != nil:
		return err
	case written:
		r.again = nil
		row.Step, row.Stop = stored.Step, stored.Stop
		return nil
	case stored.FinishedAt != nil:
		*row = *stored
		row.Stop = true
		return nil
	}
	return fmt.Errorf("bulk: run %s: %w", row.ID, tasks.ErrFenced)
}

func orNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UTC()
}

// act does what is to be done to a batch of tasks, and counts it. Doing it again changes nothing.
func (r *runner) act(ctx context.Context, found []history.Found) error {
	found = slices.DeleteFunc(found, func(f history.Found) bool { return f.ID == r.row.ID })
	if len(found) == 0 {
		return nil
	}
	refs := make([]tasks.TaskRef, len(found))
	for i, f := range found {
		refs[i] = tasks.TaskRef{Queue: f.Queue, ID: f.ID}
	}
	var results []tasks.ManyResult
	var err error
	switch Action(r.row.Action) {
	case Retry:
		results, err = r.tasks.RetryMany(ctx, r.row.ID, refs, &r.again)
	case Revoke:
		how := []tasks.RevokeOption{tasks.Reason("revoked by an operator, in bulk " + r.row.ID)}
		if r.row.Terminate {
			how = append(how, tasks.Terminate())
		}
		results, err = r.tasks.RevokeMany(ctx, refs, how...)
	case Prioritize:
		results, err = r.tasks.PrioritizeMany(ctx, refs, levels[r.row.Priority])
	case Delete:
		results, err = r.delete(ctx, refs)
	default:
		err = tasks.Permanent(fmt.Errorf("bulk: run %s: this worker does not know the action %q", r.row.ID, r.row.Action))
	}
	if err != nil {
		return err
	}
	return r.count(refs, results)
}

// records are those that wait for the checkpoint.
type records []tasks.Record

// Record implements tasks.Recorder.
func (r *records) Record(record tasks.Record) { *r = append(*r, record) }

// delete deletes tasks in Redis, and then their records: so a task whose record is there is met again.
func (r *runner) delete(ctx context.Context, refs []tasks.TaskRef) ([]tasks.ManyResult, error) {
	results, err := r.tasks.ForgetMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	var ids []string
	for i := range results {
		if results[i].Outcome != tasks.ManyUnfit {
			results[i].Outcome = tasks.ManyDone // where Redis does not have it, there was the record
			ids = append(ids, refs[i].ID)
		}
	}
	_, err = r.history.Delete(ctx, ids)
	return results, err
}

const maxFailures = 10

func (r *runner) count(refs []tasks.TaskRef, results []tasks.ManyResult) error {
	var failures []Failure
	if err := json.Unmarshal([]byte(r.row.Failures), &failures); err != nil {
		return fmt.Errorf("bulk: the failures of run %s can't be read: %w", r.row.ID, err)
	}
	for i, result := range results {
		switch {
		case result.Err != nil:
			r.row.Failed++
			if len(failures) < maxFailures {
				failures = append(failures, Failure{refs[i].ID, shorten(result.Err.Error())})
			}
		case result.Outcome == tasks.ManyDone:
			r.row.Done++
		default:
			r.row.Skipped++
			if result.Outcome == tasks.ManyGone {
				r.row.Gone++
			}
		}
	}
	text, err := json.Marshal(failures)
	if err != nil {
		return fmt.Errorf("bulk: encode failures: %w", err)
	}
	r.row.Failures = string(text)
	return nil
}
