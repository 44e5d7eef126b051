package shop

import (
	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/tasks/counter"
)

// userCounts answers how many articles, followings and followers a user has.
func (a *API) userCounts(c echo.Context) error {
	id, err := server.PathID(c, "id")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	switch exists, err := a.Profiles.Exists(ctx, id); {
	case err != nil:
		return err
	case !exists:
		return server.NotFound("id", msgNoUser)
	}
	counts, err := a.Counters.Of(ctx, id)
	if err != nil {
		return err
	}
	return server.OK(c, counts)
}

// ranking answers the first users by a count; fallback is how many without ?top=.
func (a *API) ranking(kind counter.Kind, fallback int) echo.HandlerFunc {
	return func(c echo.Context) error {
		top, err := server.QueryInt(c, "top", fallback, counter.MaxTop)
		if err != nil {
			return err
		}
		data, etag, err := a.Counters.EncodedTop(c.Request().Context(), kind, top)
		if err != nil {
			return err
		}
		return server.SendEncoded(c, data, etag)
	}
}
