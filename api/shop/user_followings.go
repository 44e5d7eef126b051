package server

import (
	"errors"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/following"
)

// followed says whom a user follows, and since when.
type followed struct {
	UserID     int64     `json:"user_id"`
	FollowedAt time.Time `json:"followed_at"`
}

// unfollowed says whom a user does not follow.
type unfollowed struct {
	UserID int64 `json:"user_id"`
}

type followingRow struct {
	ID         int64     `json:"id"`
	Name       string    `json:"name"`
	Photo      string    `json:"photo"`
	Intro      string    `json:"intro"`
	FollowedAt time.Time `json:"followed_at"`
}

type followingPage struct {
	Page       int            `json:"page"`
	PerPage    int            `json:"per_page"`
	Total      int64          `json:"total"`
	Followings []followingRow `json:"followings"`
}

const defaultPerPage = 20

func (s *Server) follow(c echo.Context) error {
	target, err := pathUserID(c)
	if err != nil {
		return err
	}
	since, err := s.Followings.Follow(c.Request().Context(), userOf(c), target)
	if err != nil {
		return explainFollowing(err)
	}
	return ok(c, followed{target, since})
}

func (s *Server) unfollow(c echo.Context) error {
	target, err := pathUserID(c)
	if err != nil {
		return err
	}
	if err := s.Followings.Unfollow(c.Request().Context(), userOf(c), target); err != nil {
		return explainFollowing(err)
	}
	return ok(c, unfollowed{target})
}

func (s *Server) listFollowings(c echo.Context) error {
	page, err := numberParam(c, "page", 1, following.MaxPage)
	if err != nil {
		return err
	}
	perPage, err := numberParam(c, "per_page", defaultPerPage, following.MaxPerPage)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	total, entries, err := s.Followings.List(ctx, userOf(c), page, perPage)
	if err != nil {
		return explainFollowing(err)
	}
	ids := make([]int64, len(entries))
	for i, e := range entries {
		ids[i] = e.Target
	}
	profiles, err := s.Profiles.GetMany(ctx, ids)
	if err != nil {
		return err
	}
	rows := make([]followingRow, len(entries))
	for i, e := range entries {
		p := profiles[e.Target] // of a user who is gone: nothing
		rows[i] = followingRow{ID: e.Target, Name: p.Name, Photo: p.Photo, Intro: p.Intro, FollowedAt: e.At}
	}
	return ok(c, followingPage{Page: page, PerPage: perPage, Total: total, Followings: rows})
}

// explainFollowing turns errors of package following into those for the client.
func explainFollowing(err error) error {
	switch {
	case errors.Is(err, following.ErrSelf):
		return badRequest("user_id", text{"不能关注自己", "nobody can follow himself"})
	case errors.Is(err, following.ErrNoTarget):
		return notFound("user_id", msgNoUser)
	case errors.Is(err, following.ErrNoUser):
		return unauthorized(msgUserGone, err)
	case errors.Is(err, following.ErrTooDeep):
		return unavailable(err)
	}
	return err
}

// pathUserID is the route's :user_id as the id of a user.
func pathUserID(c echo.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("user_id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, badRequest("user_id", text{"user_id 应为正整数（不能过大）", "user_id must be a positive integer, and not too large"})
	}
	return id, nil
}

// numberParam reads a number of the query, 1 to most; absent, it is fallback.
func numberParam(c echo.Context, name string, fallback, most int) (int, error) {
	given := c.QueryParam(name)
	if given == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > most {
		return 0, badRequest(name, textf("%s 应为 1 到 %d 的整数", "%s must be an integer from 1 to %d", name, most))
	}
	return n, nil
}
