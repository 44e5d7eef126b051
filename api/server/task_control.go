package server

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// manyTimeout is for what is done to many tasks at once.
const manyTimeout = time.Minute

// maxReason bounds ?reason=, in bytes.
const maxReason = 256

var (
	msgTaskRevoked = Text{"任务已撤销", "the task is revoked"}
	msgTaskRunning = Text{"任务正在执行：这一次可能完成，但不会再次执行", "the task is running: this attempt may finish, but there is no other"}
	msgTerminating = Text{"任务正在执行，已要求终止", "the task is running, and told to end"}
	msgRetried     = Text{"任务将重新执行", "the task runs again"}
)

// revokeTask keeps a task from running, or from running again.
func (s *Server) revokeTask(c echo.Context) error {
	id, err := pathTaskID(c)
	if err != nil {
		return err
	}
	terminate, how, err := revocationParams(c)
	if err != nil {
		return err
	}
	state, err := s.Tasks.Revoke(c.Request().Context(), id, how...)
	if err != nil {
		return err
	}
	msg := msgTaskRevoked
	switch {
	case state == tasks.StateRevoked:
	case terminate:
		msg = msgTerminating
	default:
		msg = msgTaskRunning
	}
	return Answer{Msg: msg, Data: map[string]tasks.State{"state": state}, TaskID: id}.Send(c)
}

// revokeTasks is revokeTask for all tasks of a tag.
func (s *Server) revokeTasks(c echo.Context) error {
	tag := c.QueryParam("tag")
	if tag == "" {
		return Missing("tag")
	}
	_, how, err := revocationParams(c)
	if err != nil {
		return err
	}
	n, err := s.Tasks.RevokeTag(c.Request().Context(), tag, how...)
	if err != nil {
		return err
	}
	return OK(c, n)
}

// revocationParams reads ?terminate= and ?reason=.
func revocationParams(c echo.Context) (terminate bool, how []tasks.RevokeOption, err error) {
	if given := c.QueryParam("terminate"); given != "" {
		if terminate, err = strconv.ParseBool(given); err != nil {
			return false, nil, BadRequest("terminate", Text{"terminate 应为 true 或 false", "terminate must be true or false"})
		}
	}
	reason := "revoked by an operator"
	if given := c.QueryParam("reason"); given != "" {
		if len(given) > maxReason {
			return false, nil, BadRequest("reason", Textf("reason 不能超过 %d 字节", "reason must not be longer than %d bytes", maxReason))
		}
		reason += ": " + given
	}
	how = append(how, tasks.Reason(reason))
	if terminate {
		how = append(how, tasks.Terminate())
	}
	return terminate, how, nil
}

// retryTask lets a task run again.
func (s *Server) retryTask(c echo.Context) error {
	id, err := pathTaskID(c)
	if err != nil {
		return err
	}
	if err := s.Tasks.Retry(c.Request().Context(), id); err != nil {
		return err
	}
	return Answer{Msg: msgRetried, TaskID: id}.Send(c)
}

// retryQueue lets all dead letters of a queue run again.
func (s *Server) retryQueue(c echo.Context) error {
	n, err := s.Tasks.RetryDead(c.Request().Context(), pathName(c))
	if err != nil {
		return err
	}
	return OK(c, map[string]int{"retried": n})
}

// taskPage is a page of a list of tasks.
type taskPage struct {
	Tasks []*tasks.Info `json:"tasks"`
	Next  *string       `json:"next_cursor"` // null on the last page
}

// defaultDeadLimit is the ?limit= of a page of dead letters.
const defaultDeadLimit = 50

func (s *Server) deadLetters(c echo.Context) error {
	limit := defaultDeadLimit
	if given := c.QueryParam("limit"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > tasks.MaxDead {
			return BadRequest("limit", Textf("limit 应为 1 到 %d", "limit must be 1 to %d", tasks.MaxDead))
		}
		limit = n
	}
	list, next, err := s.Tasks.Dead(c.Request().Context(), pathName(c), c.QueryParam("cursor"), limit)
	if err != nil {
		return err
	}
	page := taskPage{Tasks: s.listed(c, list)}
	if next != "" {
		page.Next = &next
	}
	return OK(c, page)
}

// pathName is the route's :name.
func pathName(c echo.Context) string {
	name, err := url.PathUnescape(c.Param("name"))
	if err != nil {
		return ""
	}
	return name
}

// stateConflict is the 409 of a request that the task's state does not allow.
func stateConflict(e *tasks.StateError) *Failure {
	msg := Textf("任务状态（%s）不允许这样做", "the task is %s, which does not allow it", e.State)
	switch {
	case errors.Is(e, tasks.ErrEnded):
		msg = Textf("任务已经结束（%s），不能撤销", "the task has ended already (%s)", e.State)
	case errors.Is(e, tasks.ErrNotReady):
		msg = Textf("任务还没有结束（%s）", "the task has not ended (%s)", e.State)
	case errors.Is(e, tasks.ErrSucceeded):
		msg = Text{"任务已经成功，请提交新的任务", "the task has succeeded: enqueue a new one"}
	case errors.Is(e, tasks.ErrExpired):
		msg = Text{"任务已经过了有效期，请提交新的任务", "the task's expiry has passed: enqueue a new one"}
	}
	return &Failure{Status: http.StatusConflict, Field: "id", Msg: msg, Cause: e}
}
