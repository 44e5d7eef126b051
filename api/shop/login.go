package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

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
func (s *Server) login(c echo.Context) error {
	b, err := body[loginBody](s, c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	user, err := s.Profiles.ByMobile(ctx, b.Mobile)
	if err != nil && !errors.Is(err, cache.ErrNull) {
		return err
	}
	known := err == nil
	if err := s.Codes.Consume(ctx, b.Mobile, b.Code, c.RealIP()); err != nil {
		return explainCode(err)
	}
	if !known {
		// The code is consumed: a client that disconnects now could not try again, so the work goes on without it.
		making, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		user, err = s.Profiles.Create(making, b.Mobile)
		cancel()
		if err != nil {
			return err
		}
	}
	token, err := s.tokens.issue(user.ID)
	if err != nil {
		return err
	}
	return ok(c, session{Token: token, User: user})
}

func explainCode(err error) error {
	switch {
	case errors.Is(err, sms.ErrWrongCode):
		return badRequest("code", text{"验证码错误", "the code is wrong"})
	case errors.Is(err, sms.ErrNoCode):
		return badRequest("code", text{"验证码已失效，请重新获取", "the code has expired or was used: ask for a new one"})
	case errors.Is(err, sms.ErrTooManyTries):
		return &apiError{
			status: http.StatusTooManyRequests, field: "code", retryAfter: retryTries, cause: err,
			msg: text{"错误次数太多，请重新获取验证码", "too many wrong tries: ask for a new code"},
		}
	}
	return err
}
