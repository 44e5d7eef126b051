package shop

import (
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
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
	msgNoUser   = server.Textf("没有这个用户", "there is no such user")
	msgUserGone = server.Textf("用户不存在，请重新登录", "the user is gone, log in again")
)

func (a *API) ownProfile(c echo.Context) error {
	own, err := a.Profiles.Get(c.Request().Context(), userOf(c))
	if err != nil {
		return loggedOutIfGone(err)
	}
	return server.OK(c, own)
}

func (a *API) updateProfile(c echo.Context) error {
	b, err := server.Body[profileBody](c)
	if err != nil {
		return err
	}
	if b == (profileBody{}) {
		return server.NothingToChange()
	}
	own, err := a.Profiles.Update(c.Request().Context(), userOf(c), profiles.Change(b))
	if err != nil {
		return loggedOutIfGone(err)
	}
	return server.OK(c, own)
}

// loggedOutIfGone turns cache.ErrNull, a user with a token who no longer exists, into a 401.
func loggedOutIfGone(err error) error {
	if errors.Is(err, cache.ErrNull) {
		return server.Unauthorized(msgUserGone, err)
	}
	return err
}

func (a *API) userProfile(c echo.Context) error {
	id, err := server.PathID(c, "id")
	if err != nil {
		return err
	}
	data, etag, err := a.Profiles.Cache().Encoded(c.Request().Context(), id)
	if err != nil {
		return server.NotFoundIf(err, cache.ErrNull, msgNoUser)
	}
	return server.SendEncoded(c, data, etag)
}
