package server

import (
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/profiles"
)

// profileBody is what users may change of themselves. A field that is absent stays as it is.
type profileBody struct {
	Name  *string `json:"name" validate:"omitnil,max=32,line"`
	Photo *string `json:"photo" validate:"omitnil,max=255,anywebpath"`
	Intro *string `json:"intro" validate:"omitnil,max=255,text"`
}

var (
	msgNoUser   = text{"没有这个用户", "there is no such user"}
	msgUserGone = text{"用户不存在，请重新登录", "the user is gone, log in again"}
)

func (s *Server) ownProfile(c echo.Context) error {
	own, err := s.Profiles.Get(c.Request().Context(), userOf(c))
	if err != nil {
		return loggedOutIfGone(err)
	}
	return ok(c, own)
}

func (s *Server) updateProfile(c echo.Context) error {
	b, err := body[profileBody](s, c)
	if err != nil {
		return err
	}
	if b == (profileBody{}) {
		return nothingToChange()
	}
	own, err := s.Profiles.Update(c.Request().Context(), userOf(c), profiles.Change(b))
	if err != nil {
		return loggedOutIfGone(err)
	}
	return ok(c, own)
}

// loggedOutIfGone turns cache.ErrNull, a user with a token who no longer exists, into a 401.
func loggedOutIfGone(err error) error {
	if errors.Is(err, cache.ErrNull) {
		return unauthorized(msgUserGone, err)
	}
	return err
}

func (s *Server) userProfile(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	data, etag, err := s.Profiles.Cache().Encoded(c.Request().Context(), id)
	if err != nil {
		return notFoundIf(err, cache.ErrNull, msgNoUser)
	}
	return sendCached(c, askAgain, data, etag)
}
