package shop

import (
	"errors"
	"net/http"
	"time"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/seckill"
	"github.com/paidui/paidui/tasks/sms"
)

// retryWhenLoading is the Retry-After while a sale is being loaded.
const retryWhenLoading = time.Second

var msgMobile = server.Textf("手机号格式不正确，应为 11 位大陆手机号", "not a mobile number of mainland China (11 digits, without +86)")

// explain says what clients get for the errors of the packages below. It returns nil for others.
func explain(err error) *server.Failure {
	var (
		limited *sms.LimitError
		busy    *cache.BusyError
	)
	switch {
	case errors.As(err, &limited):
		return smsLimited(limited)
	case errors.Is(err, seckill.ErrUnknownGoods):
		return server.NotFound("goods_id", msgNoGoods)
	case errors.Is(err, sms.ErrInvalidMobile):
		return server.BadRequest("mobile", msgMobile)
	case errors.Is(err, seckill.ErrLoading):
		return &server.Failure{
			Status: http.StatusServiceUnavailable, RetryAfter: retryWhenLoading, Cause: err,
			Msg: server.Textf("活动正在准备，请稍后再试", "the sale is being made ready, try again in a moment"),
		}
	case errors.As(err, &busy):
		return &server.Failure{
			Status: http.StatusServiceUnavailable, RetryAfter: busy.RetryAfter, Cause: err, Quiet: true,
			Msg: server.Textf("访问太多，请稍后再试", "too many requests at once, try again in a moment"),
		}
	case errors.Is(err, cache.ErrDatabaseAway), errors.Is(err, cache.ErrClosed):
		away := server.Unavailable(err)
		away.Quiet = errors.Is(err, cache.ErrDatabaseAway) // there are many at once
		return away
	}
	return nil
}

func smsLimited(e *sms.LimitError) *server.Failure {
	field, msg := "mobile", server.Textf("短信发送太频繁，请稍后再试", "too many codes were asked for, try again later")
	switch e.Scope {
	case sms.ScopeDay:
		msg = server.Textf("今天的短信次数已用完", "this number has had all its codes for today")
	case sms.ScopeTries:
		field, msg = "code", server.Textf("验证码错误次数太多，请稍后再试", "too many wrong codes were tried, try again later")
	case sms.ScopeShare:
		msg = server.Textf("今天从此网络发往该号码的短信次数已用完", "this network has had its codes to this number for today")
	case sms.ScopeAll: // nobody's doing in particular, and counted
		return &server.Failure{
			Status: http.StatusServiceUnavailable, RetryAfter: e.RetryAfter, Cause: e, Quiet: true,
			Msg: server.Textf("短信发送繁忙，请稍后再试", "too many codes are being sent, try again later"),
		}
	}
	return &server.Failure{Status: http.StatusTooManyRequests, Field: field, Msg: msg, RetryAfter: e.RetryAfter, Cause: e}
}

// isSendError reports whether a task's error is the sentence of sms.send, which names the number alone.
func isSendError(info *tasks.Info) bool {
	return info.Task == sms.Send.Name() && sms.IsSendError(info.Error)
}
