package shop

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/sms"
)

type loginBody struct {
	Mobile string `json:"mobile" validate:"required,mobile"`
	Code   string `json:"code" validate:"required,max=16"`
}

type session struct {
	Token string           `json:"token"`
	User  profiles.Profile `json:"user"`
}

// retryTries is the Retry-After of a client whose code became void by wrong tries: it can ask for another by then.
const retryTries = time.Minute

// login consumes a code and answers with a token. It reads the database first, so that no code is lost when that is away.
func (a *API) login(c echo.Context) error {
	b, err := server.Body[loginBody](c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	user, err := a.Profiles.ByMobile(ctx, b.Mobile)
	if err != nil && !errors.Is(err, cache.ErrNull) {
		return err
	}
	known := err == nil
	if err := a.Codes.Consume(ctx, b.Mobile, b.Code, c.RealIP()); err != nil {
		return explainCode(err)
	}
	if !known {
		// The code is consumed: a client that disconnects now could not try again, so the work goes on without it.
		making, cancel := context.WithTimeout(context.WithoutCancel(ctx), server.DefaultTimeout)
		user, err = a.Profiles.Create(making, b.Mobile)
		cancel()
		if err != nil {
			return err
		}
	}
	token, err := a.tokens.issue(user.ID)
	if err != nil {
		return err
	}
	return server.OK(c, session{Token: token, User: user})
}

func explainCode(err error) error {
	switch {
	case errors.Is(err, sms.ErrWrongCode):
		return server.BadRequest("code", server.Textf("验证码错误", "the code is wrong"))
	case errors.Is(err, sms.ErrNoCode):
		return server.BadRequest("code", server.Textf("验证码已失效，请重新获取", "the code has expired or was used: ask for a new one"))
	case errors.Is(err, sms.ErrTooManyTries):
		return &server.Failure{
			Status: http.StatusTooManyRequests, Field: "code", RetryAfter: retryTries, Cause: err,
			Msg: server.Textf("错误次数太多，请重新获取验证码", "too many wrong tries: ask for a new code"),
		}
	}
	return err
}
