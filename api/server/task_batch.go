package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

const (
	maxBatch     = 1000    // tasks of one request
	maxBatchBody = 4 << 20 // bytes
)

// batchBody has the tasks undecoded, so that an invalid one does not fail the others.
type batchBody struct {
	Tasks []json.RawMessage `json:"tasks"`
}

// batchItem is the result of one task of a batch, as createTask would answer it.
type batchItem struct {
	Code   int    `json:"code"`
	Msg    string `json:"msg"`
	TaskID string `json:"task_id,omitempty"`
	Field  string `json:"field,omitempty"`

	Warnings []warning `json:"warnings,omitempty"`
}

// createTasks enqueues up to maxBatch tasks, and answers the result of each.
func (s *Server) createTasks(c echo.Context) error {
	b, err := Body[batchBody](c)
	if err != nil {
		return err
	}
	if n := len(b.Tasks); n == 0 || n > maxBatch {
		return BadRequest("tasks", Textf("tasks 应有 1 到 %d 个任务", "tasks must be a list of 1 to %d", maxBatch))
	}
	items := make([]batchItem, len(b.Tasks))
	var calls []tasks.Signature
	var indexes []int // of the calls, among the items
	for i, raw := range b.Tasks {
		call, err := s.batchCall(raw)
		if err != nil {
			items[i] = s.batchResult(c, "", err)
			continue
		}
		calls, indexes = append(calls, call), append(indexes, i)
	}
	made := tasks.EnqueueMany(c.Request().Context(), s.Tasks, calls)
	ctx, cancel := context.WithTimeout(c.Request().Context(), warningsWait)
	defer cancel()
	for i, made := range made {
		item := s.batchResult(c, made.ID, made.Err)
		if made.Err == nil {
			item.Warnings = s.warnings(ctx, c, calls[i])
		}
		items[indexes[i]] = item
	}
	return OK(c, items)
}

func (s *Server) batchCall(raw []byte) (tasks.Signature, error) {
	var b taskBody
	if err := decode(raw, &b); err != nil {
		return tasks.Signature{}, err
	}
	if err := s.check.Validate(b); err != nil {
		return tasks.Signature{}, err
	}
	return s.signature(&b)
}

// batchResult returns the result of enqueueing a task.
func (s *Server) batchResult(c echo.Context, id string, err error) batchItem {
	code, msg := CodeOK, msgTaskQueued
	switch {
	case isDuplicate(err):
		code, msg = CodeRefused, msgTaskTaken
	case err != nil:
		e := s.explain(err)
		if e.Status >= http.StatusInternalServerError && !e.Quiet {
			r := requestOf(c)
			s.log.ErrorContext(c.Request().Context(), "a task of a batch was not enqueued",
				"request_id", r.id, "route", c.Path(), "status", e.Status, "error", err)
			if e.Msg == (Text{}) {
				return batchItem{Code: e.Status, Msg: msgOfStatus(e.Status, r.id).In(LanguageOf(c)), Field: e.Field}
			}
		}
		return batchItem{Code: e.Status, Msg: e.Msg.In(LanguageOf(c)), Field: e.Field}
	}
	return batchItem{Code: code, Msg: msg.In(LanguageOf(c)), TaskID: id}
}
