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
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/seckill"
	"github.com/paidui/paidui/tasks/sms"
)

// apiError is an error as the client sees it. Its cause stays in the log.
type apiError struct {
	status     int
	msg        text
	field      string        // the argument at fault, or ""
	retryAfter time.Duration // when a repetition may succeed; 0: not said
	cause      error
	expected   bool // not logged, though its status is 500 or more: there may be many, or it is no fault
}

func (e *apiError) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%d %s: %v", e.status, e.msg.en, e.cause)
	}
	return fmt.Sprintf("%d %s", e.status, e.msg.en)
}

func (e *apiError) Unwrap() error { return e.cause }

func badRequest(field string, msg text) *apiError {
	return &apiError{status: http.StatusBadRequest, field: field, msg: msg}
}

func notFound(field string, msg text) *apiError {
	return &apiError{status: http.StatusNotFound, field: field, msg: msg}
}

// notFoundIf turns err into a 404 with the text msg if it is absent. Other errors are returned as they are.
func notFoundIf(err, absent error, msg text) error {
	if errors.Is(err, absent) {
		return notFound("id", msg)
	}
	return err
}

// retryWhenDown is the Retry-After while Redis or the database is away.
const retryWhenDown = 3 * time.Second

// retryWhenLoading is the Retry-After while a sale is being loaded.
const retryWhenLoading = time.Second

// statusClientGone is nginx's status for a client that closed its connection. It appears in the log and the metrics only.
const statusClientGone = 499

// explain turns an error of a handler into the one that the client gets. An unknown error becomes a 500 without its text.
func explain(err error) *apiError {
	var (
		own      *apiError
		option   *tasks.OptionError
		args     *tasks.ArgsError
		query    *history.QueryError
		limited  *sms.LimitError
		state    *tasks.StateError
		busy     *cache.BusyError
		fromEcho *echo.HTTPError
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &option):
		return badRequest(option.Field, textf("参数 %s 不正确：%s", "option %s: %s", option.Field, option.Msg))
	case errors.As(err, &args):
		return badArgs(args)
	case errors.As(err, &query):
		return badRequest(query.Field, textf("参数 %s 不正确：%s", "%s: %s", query.Field, query.Msg))
	case errors.As(err, &limited):
		return smsLimited(limited)
	case errors.As(err, &state):
		return stateConflict(state)
	case errors.Is(err, tasks.ErrUnknownQueue):
		return notFound("name", text{"没有这个队列", "there is no such queue"})
	case errors.Is(err, tasks.ErrNotFound):
		return notFound("", text{"没有这个任务，或者它已经过期", "there is no such task, or it is gone"})
	case errors.Is(err, seckill.ErrUnknownGoods):
		return notFound("goods_id", text{"没有这个商品", "there are no such goods"})
	case errors.Is(err, sms.ErrInvalidMobile):
		return badRequest("mobile", msgMobile)
	case errors.Is(err, seckill.ErrLoading):
		return &apiError{
			status: http.StatusServiceUnavailable, retryAfter: retryWhenLoading, cause: err,
			msg: text{"活动正在准备，请稍后再试", "the sale is being made ready, try again in a moment"},
		}
	case errors.As(err, &busy):
		return &apiError{
			status: http.StatusServiceUnavailable, retryAfter: busy.RetryAfter, cause: err,
			msg: text{"访问太多，请稍后再试", "too many requests at once, try again in a moment"},
		}
	case errors.Is(err, context.Canceled):
		return &apiError{status: statusClientGone, msg: text{"客户端已断开", "the client is gone"}, cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &apiError{
			status: http.StatusServiceUnavailable, retryAfter: retryWhenDown, cause: err,
			msg: text{"处理超时，请稍后再试", "the request took too long, try again later"},
		}
	case models.IsAway(err), errors.Is(err, cache.ErrClosed):
		return unavailable(err)
	case errors.As(err, &fromEcho):
		return fromRouter(fromEcho)
	}
	return &apiError{status: http.StatusInternalServerError, cause: err}
}

func unavailable(cause error) *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, retryAfter: retryWhenDown, cause: cause,
		msg: text{"服务暂时不可用，请稍后再试", "the service is temporarily unavailable, try again later"},
	}
}

func badArgs(e *tasks.ArgsError) *apiError {
	if e.Field == "" {
		return badRequest("args", textf("任务参数不正确：%s", "the task's arguments: %s", e.Msg))
	}
	field := "args." + e.Field
	return badRequest(field, textf("任务参数 %s 不正确：%s", "%s: %s", field, e.Msg))
}

func smsLimited(e *sms.LimitError) *apiError {
	field, msg := "mobile", text{"短信发送太频繁，请稍后再试", "too many codes were asked for, try again later"}
	switch e.Scope {
	case sms.ScopeDay:
		msg = text{"今天的短信次数已用完", "this number has had all its codes for today"}
	case sms.ScopeTries:
		field, msg = "code", text{"验证码错误次数太多，请稍后再试", "too many wrong codes were tried, try again later"}
	case sms.ScopeShare:
		msg = text{"今天从此网络发往该号码的短信次数已用完", "this network has had its codes to this number for today"}
	case sms.ScopeAll: // nobody's doing in particular, and counted
		return &apiError{
			status: http.StatusServiceUnavailable, retryAfter: e.RetryAfter, cause: e, expected: true,
			msg: text{"短信发送繁忙，请稍后再试", "too many codes are being sent, try again later"},
		}
	}
	return &apiError{status: http.StatusTooManyRequests, field: field, msg: msg, retryAfter: e.RetryAfter, cause: e}
}

func fromRouter(e *echo.HTTPError) *apiError {
	switch e.Code {
	case http.StatusNotFound:
		return notFound("", text{"没有这个地址", "there is no such route"})
	case http.StatusMethodNotAllowed:
		return &apiError{status: e.Code, msg: text{"这个地址不支持此方法", "this route does not take that method"}}
	}
	return &apiError{status: e.Code, msg: textf("请求无法处理：%s", "%s", http.StatusText(e.Code)), cause: e}
}

func msgInternal(requestID string) text {
	return textf("服务器内部错误（请求号 %s）", "internal error (request %s)", requestID)
}

// fail answers with the error, and logs it if the client did not cause it.
func (s *Server) fail(c echo.Context, err error) {
	e := explain(err)
	ctx, id := c.Request().Context(), requestOf(c).id
	var busy *cache.BusyError
	requestOf(c).shed = e.expected || errors.As(err, &busy) || errors.Is(err, cache.ErrDatabaseAway) // of which there are many at once; metrics count them
	if e.status >= http.StatusInternalServerError && !requestOf(c).shed {
		level := slog.LevelDebug
		if logged, _ := s.logsFailure(requestOf(c)); logged {
			level = slog.LevelError
		}
		s.log.Log(ctx, level, "request failed", "request_id", id, "route", c.Path(), "status", e.status, "error", err)
	}
	if c.Response().Committed {
		return
	}
	if e.msg == (text{}) {
		e.msg = msgInternal(id)
	}
	h := c.Response().Header()
	if e.retryAfter > 0 {
		h.Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(e.retryAfter.Seconds()))))
	}
	if e.status == http.StatusUnauthorized {
		h.Set(echo.HeaderWWWAuthenticate, `Bearer realm="paidui"`)
	}
	answer := envelope{Code: e.status, Msg: e.msg.in(languageOf(c)), Field: e.field}
	if err := send(c, e.status, answer); err != nil {
		s.log.DebugContext(ctx, "answer not sent", "request_id", id, "error", err)
	}
}
