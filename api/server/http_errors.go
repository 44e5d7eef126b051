package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/audit"
	"github.com/paidui/paidui/tasks/history"
)

// Failure is an error as the client gets it: {"code": Status, "msg": Msg, "data": null, "field": Field}. A handler returns
// one, or any other error, of which Application.Explain makes one. An error that neither it nor the server knows is a 500
// that has the request's id, and leaves the text to the log.
type Failure struct {
	Status     int           // 400 to 599: the HTTP status, and the answer's code. Any other is 500
	Msg        Text          // what is wrong; empty says what the status means, and with 500 the request's id
	Field      string        // the argument at fault, or ""
	RetryAfter time.Duration // when a repetition may succeed, which the answer's header says in seconds; 0: not said
	Cause      error         // for the log
	Quiet      bool          // not logged, though its status is 500 or more: there may be many, or it is no fault
}

// Error is for the log.
func (e *Failure) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%d %s: %v", e.Status, e.Msg.In(English), e.Cause)
	}
	return fmt.Sprintf("%d %s", e.Status, e.Msg.In(English))
}

// Unwrap returns the cause.
func (e *Failure) Unwrap() error { return e.Cause }

// BadRequest is a 400 of an argument; field may be "".
func BadRequest(field string, msg Text) *Failure {
	return &Failure{Status: http.StatusBadRequest, Field: field, Msg: msg}
}

// NotFound is a 404 of what an argument names; field may be "".
func NotFound(field string, msg Text) *Failure {
	return &Failure{Status: http.StatusNotFound, Field: field, Msg: msg}
}

// notFoundIf turns err into a 404 with the text msg if it is absent. Other errors are returned as they are.
func NotFoundIf(err, absent error, msg Text) error {
	if errors.Is(err, absent) {
		return NotFound("id", msg)
	}
	return err
}

// retryWhenDown is the Retry-After while Redis or the database is away.
const retryWhenDown = 3 * time.Second

// retryQueueFull is the Retry-After while a queue takes no more tasks.
const retryQueueFull = 5 * time.Second

// statusClientGone is nginx's status for a client that closed its connection. It appears in the log and the metrics only.
const statusClientGone = 499

// explain turns an error of a handler into the one that the client gets. An unknown error becomes a 500 without its text.
func (s *Server) explain(err error) *Failure {
	var own *Failure
	if errors.As(err, &own) {
		return own
	}
	if s.Explain != nil {
		if own = s.Explain(err); own != nil {
			return own
		}
	}
	var (
		option   *tasks.OptionError
		args     *tasks.ArgsError
		query    *history.QueryError
		acts     *audit.QueryError
		state    *tasks.StateError
		tooLarge *http.MaxBytesError
		fromEcho *echo.HTTPError
	)
	if own = workerFailure(err); own != nil {
		return own
	}
	if own = bulkFailure(err); own != nil {
		return own
	}
	switch {
	case errors.As(err, &option):
		return BadRequest(option.Field, Textf("参数 %s 不正确：%s", "option %s: %s", option.Field, option.Msg))
	case errors.As(err, &args):
		return badArgs(args)
	case errors.As(err, &query):
		return BadRequest(query.Field, Textf("参数 %s 不正确：%s", "%s: %s", query.Field, query.Msg))
	case errors.As(err, &acts):
		return BadRequest(acts.Field, Textf("参数 %s 不正确：%s", "%s: %s", acts.Field, acts.Msg))
	case errors.As(err, &state):
		return stateConflict(state)
	case errors.Is(err, tasks.ErrUnknownQueue):
		return NotFound("name", Text{"没有这个队列", "there is no such queue"})
	case errors.Is(err, tasks.ErrNotFound):
		return NotFound("", Text{"没有这个任务，或者它已经过期", "there is no such task, or it is gone"})
	case errors.Is(err, context.Canceled):
		return &Failure{Status: statusClientGone, Msg: Text{"客户端已断开", "the client is gone"}, Cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Failure{
			Status: http.StatusServiceUnavailable, RetryAfter: retryWhenDown, Cause: err,
			Msg: Text{"处理超时，请稍后再试", "the request took too long, try again later"},
		}
	case errors.As(err, &tooLarge):
		return bodyTooLarge(tooLarge.Limit)
	case errors.As(err, &fromEcho):
		return fromRouter(fromEcho)
	case errors.Is(err, tasks.ErrQueueFull):
		return &Failure{
			Status: http.StatusServiceUnavailable, RetryAfter: retryQueueFull, Cause: err, Quiet: true,
			Msg: Text{"任务队列已满，请稍后再试", "the queue is full, try again later"},
		}
	case models.IsAway(err):
		return Unavailable(err)
	}
	return &Failure{Status: http.StatusInternalServerError, Cause: err}
}

// Unavailable is the 503 of a store that is away.
func Unavailable(cause error) *Failure {
	return &Failure{
		Status: http.StatusServiceUnavailable, RetryAfter: retryWhenDown, Cause: cause,
		Msg: Text{"服务暂时不可用，请稍后再试", "the service is temporarily unavailable, try again later"},
	}
}

func badArgs(e *tasks.ArgsError) *Failure {
	if e.Field == "" {
		return BadRequest("args", Textf("任务参数不正确：%s", "the task's arguments: %s", e.Msg))
	}
	field := "args." + e.Field
	return BadRequest(field, Textf("任务参数 %s 不正确：%s", "%s: %s", field, e.Msg))
}

// Unauthorized is a 401.
func Unauthorized(msg Text, cause error) *Failure {
	return &Failure{Status: http.StatusUnauthorized, Msg: msg, Cause: cause}
}

// Missing is a 400 of an argument that was not given.
func Missing(field string) *Failure {
	return BadRequest(field, Textf("缺少 %s", "%s is missing", field))
}

// NothingToChange is a 400 of a change without fields.
func NothingToChange() *Failure {
	return BadRequest("", Text{"没有要修改的字段", "there is no field to change"})
}

// notKept is the 501 of a route whose store this program does not have.
func notKept(msg Text) *Failure {
	return &Failure{Status: http.StatusNotImplemented, Msg: msg, Quiet: true}
}

// fromRouter explains an error of Echo, or of a handler that is written for Echo alone, whose message the client gets.
func fromRouter(e *echo.HTTPError) *Failure {
	if said, ok := e.Message.(string); ok && said != "" && said != http.StatusText(e.Code) {
		return &Failure{Status: e.Code, Msg: Text{EN: said}, Cause: e}
	}
	switch e.Code {
	case http.StatusNotFound:
		return NotFound("", Text{"没有这个地址", "there is no such route"})
	case http.StatusMethodNotAllowed:
		return &Failure{Status: e.Code, Msg: Text{"这个地址不支持此方法", "this route does not take that method"}}
	}
	return &Failure{Status: e.Code, Cause: e}
}

// msgOfStatus is the message of an error that has none.
func msgOfStatus(status int, requestID string) Text {
	if status != http.StatusInternalServerError {
		return Textf("请求无法处理：%s", "%s", http.StatusText(status))
	}
	return Textf("服务器内部错误（请求号 %s）", "internal error (request %s)", requestID)
}

// fail answers with the error, and logs it if the client did not cause it.
func (s *Server) fail(c echo.Context, err error) {
	e := *s.explain(err)
	ctx, state := c.Request().Context(), requestOf(c)
	if e.Status < http.StatusBadRequest || e.Status > 599 {
		e.Status = http.StatusInternalServerError
	}
	state.shed = e.Quiet // there are many at once; metrics count them
	if e.Status >= http.StatusInternalServerError && !e.Quiet {
		level := slog.LevelDebug
		if logged, _ := s.logsFailure(state); logged {
			level = slog.LevelError
		}
		s.log.Log(ctx, level, "request failed", "request_id", state.id, "route", c.Path(), "status", e.Status, "error", err)
	}
	if c.Response().Committed {
		return
	}
	if e.Msg == (Text{}) {
		e.Msg = msgOfStatus(e.Status, state.id)
	}
	h := c.Response().Header()
	if e.RetryAfter > 0 {
		h.Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if e.Status == http.StatusUnauthorized {
		h.Set(echo.HeaderWWWAuthenticate, `Bearer realm="paidui"`)
	}
	answer := envelope{Code: e.Status, Msg: e.Msg.In(LanguageOf(c)), Field: e.Field}
	if err := send(c, e.Status, answer); err != nil {
		s.log.DebugContext(ctx, "answer not sent", "request_id", state.id, "error", err)
	}
}
