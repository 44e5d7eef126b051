package server

import (
	"errors"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// why is the answer to the question why a task does not run.
type why struct {
	ID      string      `json:"id"`
	Task    string      `json:"task"`
	Queue   string      `json:"queue"`
	State   tasks.State `json:"state"`
	Reasons []whyReason `json:"reasons"`
}

type whyReason struct {
	Code    tasks.WhyCode  `json:"code"`
	Message string         `json:"message"`
	Advice  string         `json:"advice"` // "" where there is nothing to do
	Subject string         `json:"subject"`
	Since   *time.Time     `json:"since"`
	Until   *time.Time     `json:"until"`
	By      string         `json:"by,omitempty"`
	Error   string         `json:"error,omitempty"`
	Count   int            `json:"count,omitempty"`
	AtLeast bool           `json:"at_least,omitempty"`
	Workers []string       `json:"workers,omitempty"`
	Tasks   []tasks.WhyRun `json:"tasks,omitempty"`
}

// whyTask answers why a task does not run. Of one that Redis has forgotten the history knows what ended it.
func (s *Server) whyTask(c echo.Context) error {
	id, err := pathTaskID(c)
	if err != nil {
		return err
	}
	found, err := s.Tasks.Why(c.Request().Context(), id)
	if errors.Is(err, tasks.ErrNotFound) {
		info, past := s.past(c.Request().Context(), id)
		switch {
		case past != nil && !errors.Is(past, tasks.ErrNotFound):
			err = past
		case past == nil && info.State.Final(): // else nobody knows yet that Redis has forgotten it
			found, err = &tasks.Why{Task: info, Reasons: tasks.WhyEnded(info)}, nil
		}
	}
	if err != nil {
		return err
	}
	info := found.Task
	answer := why{ID: info.ID, Task: info.Task, Queue: info.Queue, State: info.State, Reasons: []whyReason{}}
	s.publicInfo(c, info)
	for _, r := range found.Reasons {
		if r.Error != "" && r.Code != tasks.WhyTerminating { // which is for anybody to read
			r.Error = info.Error
		}
		text := whyText(r)
		answer.Reasons = append(answer.Reasons, whyReason{
			Code: r.Code, Message: text.is.In(LanguageOf(c)), Advice: text.todo.In(LanguageOf(c)),
			Subject: r.Subject, Since: r.Since, Until: r.Until, By: r.By, Error: r.Error, Count: r.Count, AtLeast: r.AtLeast,
			Workers: r.Workers, Tasks: r.Runs,
		})
	}
	return OK(c, answer)
}
