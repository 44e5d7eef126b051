package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// Find is the record of one task, or tasks.ErrNotFound. A task that has not ended is settled as Search does it.
func (s *Store) Find(ctx context.Context, id string) (*tasks.Info, error) {
	r, err := s.record(ctx, id)
	if at, generated := timeInID(id); generated && errors.Is(err, gorm.ErrRecordNotFound) {
		if _, err = s.convertBefore(ctx, at.Add(idSkew)); err == nil {
			r, err = s.record(ctx, id)
		}
	}
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return nil, fmt.Errorf("task %s: %w", id, tasks.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("history: read the record of task %s: %w", id, err)
	}
	s.settle(ctx, []*models.TaskRecord{r})
	return s.info(r), nil
}

func (s *Store) record(ctx context.Context, id string) (*models.TaskRecord, error) {
	r := new(models.TaskRecord)
	return r, s.db.WithContext(ctx).Take(r, "task_id = ?", id).Error
}

// info is a record in the clear.
func (s *Store) info(r *models.TaskRecord) *tasks.Info {
	info := newInfo(r)
	if info.State == tasks.StateFailure {
		info.ErrorGroup, _ = groupOf(r.Error)
	}
	s.tasks.Decrypt(info)
	return info
}

// newInfo shows a record as Redis would show the task, as far as the history knows it.
func newInfo(r *models.TaskRecord) *tasks.Info {
	return &tasks.Info{
		ID:          r.TaskID,
		Task:        r.Task,
		Queue:       r.Queue,
		State:       tasks.State(r.State),
		Args:        asJSON(r.Args),
		Result:      asJSON(r.Result),
		Error:       r.Error,
		Retries:     r.Retries,
		MaxRetries:  r.MaxRetries,
		Attempts:    []tasks.Attempt{},
		Tags:        tagsOf(r),
		Worker:      r.Worker,
		RequestID:   r.RequestID,
		EnqueuedAt:  utc(&r.CreatedAt),
		StartedAt:   utc(r.StartedAt),
		CompletedAt: utc(r.FinishedAt),
	}
}

func tagsOf(r *models.TaskRecord) []string { return strings.Fields(r.Tags) }

// asJSON passes JSON on; whatever another program put there becomes a JSON string.
func asJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil { // a string always has a JSON form
		return nil
	}
	return quoted
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
