package shop

import (
	"errors"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
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

func (a *API) follow(c echo.Context) error {
	target, err := server.PathID(c, "user_id")
	if err != nil {
		return err
	}
	since, err := a.Followings.Follow(c.Request().Context(), userOf(c), target)
	if err != nil {
		return explainFollowing(err)
	}
	return server.OK(c, followed{target, since})
}

func (a *API) unfollow(c echo.Context) error {
	target, err := server.PathID(c, "user_id")
	if err != nil {
		return err
	}
	if err := a.Followings.Unfollow(c.Request().Context(), userOf(c), target); err != nil {
		return explainFollowing(err)
	}
	return server.OK(c, unfollowed{target})
}

func (a *API) listFollowings(c echo.Context) error {
	page, err := server.QueryInt(c, "page", 1, following.MaxPage)
	if err != nil {
		return err
	}
	perPage, err := server.QueryInt(c, "per_page", defaultPerPage, following.MaxPerPage)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	total, entries, err := a.Followings.List(ctx, userOf(c), page, perPage)
	if err != nil {
		return explainFollowing(err)
	}
	ids := make([]int64, len(entries))
	for i, e := range entries {
		ids[i] = e.Target
	}
	profiles, err := a.Profiles.GetMany(ctx, ids)
	if err != nil {
		return err
	}
	rows := make([]followingRow, len(entries))
	for i, e := range entries {
		p := profiles[e.Target] // of a user who is gone: nothing
		rows[i] = followingRow{ID: e.Target, Name: p.Name, Photo: p.Photo, Intro: p.Intro, FollowedAt: e.At}
	}
	return server.OK(c, followingPage{Page: page, PerPage: perPage, Total: total, Followings: rows})
}

// explainFollowing turns errors of package following into those for the client.
func explainFollowing(err error) error {
	switch {
	case errors.Is(err, following.ErrSelf):
		return server.BadRequest("user_id", server.Textf("不能关注自己", "nobody can follow himself"))
	case errors.Is(err, following.ErrNoTarget):
		return server.NotFound("user_id", msgNoUser)
	case errors.Is(err, following.ErrNoUser):
		return server.Unauthorized(msgUserGone, err)
	case errors.Is(err, following.ErrTooDeep):
		return server.Unavailable(err)
	}
	return err
}
