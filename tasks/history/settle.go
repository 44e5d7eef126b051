package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// settledAfter is how old a record is that is believed only if Redis says the same. What a worker has to tell arrives
// long before, but for the progress of a task that runs.
const settledAfter = time.Minute

// writeBackLimit is how long an answer waits for what was learned to be written back.
const writeBackLimit = 2 * time.Second

// settle brings records that have not ended up to date with Redis, in place, and in the table if that can be done soon.
// When Redis does not answer, it leaves them.
func (s *Store) settle(ctx context.Context, records []*models.TaskRecord) {
	changed, _, err := s.compareWithRedis(ctx, records)
	if err == nil && len(changed) > 0 {
		within, cancel := context.WithTimeout(ctx, writeBackLimit)
		defer cancel()
		err = s.writeBack(within, changed)
	}
	if err != nil && !errors.Is(err, tasks.ErrBroker) {
		s.logger.WarnContext(ctx, "records of the history can't be brought up to date now", "records", len(records), "error", err)
	}
}

// settleAll is settle that tells how many records Redis knew better, and how many were found lost; and when Redis does not
// answer.
func (s *Store) settleAll(ctx context.Context, records []*models.TaskRecord) (changed, lost int, err error) {
	all, lost, err := s.compareWithRedis(ctx, records)
	if err != nil || len(all) == 0 {
		return 0, 0, err
	}
	return len(all) - lost, lost, s.writeBack(ctx, all)
}

func (s *Store) writeBack(ctx context.Context, changed []*models.TaskRecord) error {
	rows := make([]*row, len(changed))
	for i, r := range changed {
		rows[i] = rowOf(r)
	}
	if err := s.table.writeAccepted(ctx, rows, flushLimit); err != nil {
		return fmt.Errorf("history: write back where tasks stand: %w", err)
	}
	return nil
}

// compareWithRedis brings records that have not ended up to date with Redis, in place. It returns those that it changed, and how
// many of them are lost.
func (s *Store) compareWithRedis(ctx context.Context, records []*models.TaskRecord) (changed []*models.TaskRecord, lost int, err error) {
	var open []*models.TaskRecord
	var refs []broker.Ref
	for _, r := range records {
		if !tasks.State(r.State).Final() && (s.isOld(r) || runs(tasks.State(r.State))) {
			open = append(open, r)
			refs = append(refs, broker.Ref{Queue: r.Queue, ID: r.TaskID})
		}
	}
	if len(open) == 0 {
		return nil, 0, nil
	}
	infos, err := s.infos(ctx, refs)
	if err != nil {
		return nil, 0, err
	}
	waiting, err := s.inOutbox(ctx, open, infos)
	if err != nil {
		return nil, 0, err
	}
	for i, r := range open {
		switch info := infos[i]; {
		case info != nil && !sameTask(r, info):
			infos[i] = nil // the id is another task's by now
			fallthrough
		case info == nil:
			if waiting[r.TaskID] || !s.isOld(r) {
				continue
			}
			r.State = string(tasks.StateLost)
			lost++
		case info.State == tasks.State(r.State):
			continue
		default:
			s.applyInfo(r, info)
		}
		changed = append(changed, r)
	}
	return changed, lost, nil
}

func (s *Store) isOld(r *models.TaskRecord) bool { return s.now().Sub(r.CreatedAt) > settledAfter }

// inOutbox are those of the tasks which Redis does not know that wait in the outbox: they will come, or come again.
func (s *Store) inOutbox(ctx context.Context, open []*models.TaskRecord, infos []*tasks.Info) (map[string]bool, error) {
	var ids []string
	for i, r := range open {
		if infos[i] == nil {
			ids = append(ids, r.TaskID)
		}
	}
	waiting := make(map[string]bool)
	if len(ids) == 0 {
		return waiting, nil
	}
	var found []string
	err := s.db.WithContext(ctx).Model(&models.OutboxRow{}).Where("task_id IN ? AND failed_at IS NULL", ids).Pluck("task_id", &found).Error
	if err != nil {
		return nil, fmt.Errorf("history: look into the outbox: %w", err)
	}
	for _, id := range found {
		waiting[id] = true
	}
	return waiting, nil
}

// sameTask tells whether what Redis has under the id is what the record is about. A task of another program tells no
// time of its own.
func sameTask(r *models.TaskRecord, info *tasks.Info) bool {
	return info.EnqueuedAt == nil || !info.EnqueuedAt.Truncate(time.Millisecond).After(r.CreatedAt.Truncate(time.Millisecond))
}

// applyInfo changes the record to what Redis says. It keeps what the history was told not to keep out of it.
func (s *Store) applyInfo(r *models.TaskRecord, info *tasks.Info) {
	r.State = string(info.State)
	r.Error, r.Worker, r.Retries = info.Error, info.Worker, info.Retries
	r.StartedAt, r.FinishedAt = info.StartedAt, info.CompletedAt
	r.Attempt = max(r.Attempt, len(info.Attempts), info.Retries)
	r.Result = ""
	if info.History == tasks.HistoryFull {
		r.Args, r.Result = string(info.Args), string(info.Result)
	} else {
		r.Error = s.tasks.Redacted(info)
	}
}

// rowOf is the record as a row that may replace it.
func rowOf(r *models.TaskRecord) *row {
	record := tasks.Record{
		ID: r.TaskID, Task: r.Task, Queue: r.Queue, State: tasks.State(r.State), Run: r.Run, Attempt: r.Attempt,
		Retries: r.Retries, MaxRetries: r.MaxRetries, Args: []byte(r.Args), Result: []byte(r.Result), Error: r.Error, Worker: r.Worker,
		RequestID: r.RequestID, EnqueuedAt: r.CreatedAt,
	}
	if r.StartedAt != nil {
		record.StartedAt = *r.StartedAt
	}
	if r.FinishedAt != nil {
		record.EndedAt = *r.FinishedAt
	}
	converted, _ := newRow(record, r.CreatedAt) // the id and the state are sound: they come from the table and from Redis
	return &converted
}
