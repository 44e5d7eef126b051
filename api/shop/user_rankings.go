package server

import (
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/counter"
)

// userCounts answers how many articles, followings and followers a user has.
func (s *Server) userCounts(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	switch exists, err := s.Profiles.Exists(ctx, id); {
	case err != nil:
		return err
	case !exists:
		return notFound("id", msgNoUser)
	}
	counts, err := s.Counters.Of(ctx, id)
	if err != nil {
		return err
	}
	return ok(c, counts)
}

// ranking answers the first users by a count; fallback is how many without ?top=.
func (s *Server) ranking(kind counter.Kind, fallback int) echo.HandlerFunc {
	return func(c echo.Context) error {
		top, err := topParam(c, fallback)
		if err != nil {
			return err
		}
		data, etag, err := s.Counters.EncodedTop(c.Request().Context(), kind, top)
		if err != nil {
			return err
		}
		return sendCached(c, askAgain, data, etag)
	}
}

// topParam reads ?top=; absent, it is fallback.
func topParam(c echo.Context, fallback int) (int, error) {
	given := c.QueryParam("top")
	if given == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > counter.MaxTop {
		return 0, badRequest("top", textf("top 应为 1 到 %d 的整数", "top must be an integer from 1 to %d", counter.MaxTop))
	}
	return n, nil
}
