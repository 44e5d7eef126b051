package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks/sms"
)

type loginBody struct {
	Mobile string `json:"mobile" validate:"required,mobile"`
	Code   string `json:"code" validate:"required,max=16"`
}

type session struct {
	Token string  `json:"token"`
	User  profile `json:"user"`
}

// retryTries is how long someone whose code was voided by wrong tries has to wait at most before asking for another.
const retryTries = time.Minute

// login uses a code up and answers with a token. The database is asked first, so that a code is not lost when there
// is none.
func (s *Server) login(c echo.Context) error {
	b, err := body[loginBody](s, c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	user, err := s.userByMobile(ctx, b.Mobile)
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		return err
	}
	known := err == nil
	if err := s.Codes.Consume(ctx, b.Mobile, b.Code, c.RealIP()); err != nil {
		return explainCode(err)
	}
	if !known {
		if user, err = s.createUser(context.WithoutCancel(ctx), b.Mobile); err != nil {
			return err
		}
	}
	token, err := s.tokens.make(user.ID)
	if err != nil {
		return err
	}
	return ok(c, session{Token: token, User: newProfile(user)})
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

func (s *Server) userByMobile(ctx context.Context, mobile string) (models.User, error) {
	var user models.User
	err := s.db(ctx).Where("mobile = ?", mobile).Take(&user).Error
	return user, err
}

// createUser makes the user, or finds the one that a concurrent login made.
func (s *Server) createUser(ctx context.Context, mobile string) (models.User, error) {
	user := models.User{Mobile: mobile, Name: "用户" + rand.Text()[:6]}
	if err := s.db(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&user).Error; err != nil {
		return user, fmt.Errorf("creating a user: %w", err)
	}
	return s.userByMobile(ctx, mobile)
}
