package server

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

type taskBody struct {
	Task string          `json:"task" validate:"required,max=64"`
	Args json.RawMessage `json:"args"`
	tasks.Options
}

var msgTaskTaken = Text{"同样的任务已经存在", "that task is there already"}

// createTask enqueues any task of the catalog.
func (s *Server) createTask(c echo.Context) error {
	b, err := Body[taskBody](c)
	if err != nil {
		return err
	}
	call, err := s.signature(&b)
	if err != nil {
		return err
	}
	id, err := call.Enqueue(c.Request().Context(), s.Tasks)
	if isDuplicate(err) {
		return Answer{Code: CodeRefused, Msg: msgTaskTaken, TaskID: id}.Send(c)
	}
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, envelope{
		Code: CodeOK, Msg: msgTaskQueued.In(LanguageOf(c)), TaskID: id, Warnings: s.warnings(c.Request().Context(), c, call),
	})
}

func isDuplicate(err error) bool { return errors.Is(err, tasks.ErrDuplicate) }

// signature checks a client's call against the catalog.
func (s *Server) signature(b *taskBody) (tasks.Signature, error) {
	if _, known := s.Catalog.Lookup(b.Task); !known {
		return tasks.Signature{}, BadRequest("task", Textf("没有 %q 这种任务", "there is no task %q", b.Task))
	}
	call := tasks.Call{Task: b.Task, Args: b.Args, Options: b.Options}
	return call.Signature(s.Catalog)
}

// oneTask answers the state of a task. With ?wait= it first waits for its end.
func (s *Server) oneTask(c echo.Context) error {
	id, err := pathTaskID(c)
	if err != nil {
		return err
	}
	wait, err := waitParam(c)
	if err != nil {
		return err
	}
	if wait == 0 {
		info, err := s.Tasks.Info(c.Request().Context(), id)
		return s.answerTask(c, id, info, err)
	}
	return s.waitForTask(c, id, wait)
}

// publicInfo returns the part of info that the client may see. It changes info. Somebody who knows an id that we made was
// given it. An id that a caller chose may be guessed, so it gives the state alone.
func (s *Server) publicInfo(c echo.Context, info *tasks.Info) *tasks.Info {
	who := requestOf(c).identity
	switch {
	case who.Operator, who.Observer && s.ObserversSeeArguments:
		return info
	case who.Observer:
		return s.observed(c, info)
	}
	if !tasks.IsMadeID(info.ID) {
		return &tasks.Info{ID: info.ID, State: info.State, Attempts: []tasks.Attempt{}, Tags: []string{}}
	}
	if info.Withheld != "" {
		info.Withheld = msgWithheld.In(LanguageOf(c))
	}
	info.Args, info.Headers, info.RequestID, info.Worker, info.ErrorGroup = nil, nil, "", "", ""
	info.Error = s.publicError(info).In(LanguageOf(c))
	for i := range info.Attempts {
		info.Attempts[i].Worker, info.Attempts[i].Error = "", ""
	}
	return info
}

// observed returns the part of info that an observer may see: all but what may hold arguments. It changes info.
func (s *Server) observed(c echo.Context, info *tasks.Info) *tasks.Info {
	info.Args, info.Result, info.Headers, info.Withheld = nil, nil, nil, ""
	info.Error = s.publicError(info).In(LanguageOf(c))
	if info.Progress != nil {
		progress := *info.Progress
		progress.Note = ""
		info.Progress = &progress
	}
	for i := range info.Attempts {
		info.Attempts[i].Error = ""
	}
	return info
}

// listed returns a list of tasks as the client may see them. It changes them.
func (s *Server) listed(c echo.Context, list []*tasks.Info) []*tasks.Info {
	for i, info := range list {
		list[i] = s.publicInfo(c, info)
	}
	return list
}

var (
	msgWithheld      = Text{"服务器没有解密所需的密钥", "the server does not have the key to decrypt it"}
	msgTaskFailed    = Text{"任务失败", "the task failed"}
	msgAttemptFailed = Text{"上次执行失败", "the last attempt failed"}
)

// publicError returns the part of a task's error that anyone may read, since errors can name servers and tables: the reason of
// a revocation and what Application.PublicError lets through in full, of any other only that there is one.
func (s *Server) publicError(info *tasks.Info) Text {
	switch {
	case info.Error == "",
		info.State == tasks.StateRevoked,
		s.PublicError != nil && s.PublicError(info):
		return Text{info.Error, info.Error}
	case info.State == tasks.StateFailure:
		return msgTaskFailed
	}
	return msgAttemptFailed
}
