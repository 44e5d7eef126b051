package shop

import (
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/articles"
)

// articleBody is what a user publishes.
type articleBody struct {
	Title   string `json:"title" validate:"required,max=128,line"`
	Content string `json:"content" validate:"required,max=20000,text"`
}

var msgNoArticle = server.Textf("没有这篇文章", "there is no such article")

func (a *API) createArticle(c echo.Context) error {
	b, err := server.Body[articleBody](c)
	if err != nil {
		return err
	}
	article, err := a.Articles.Create(c.Request().Context(), userOf(c), b.Title, b.Content)
	if errors.Is(err, articles.ErrNoAuthor) {
		return server.Unauthorized(msgUserGone, err)
	}
	if err != nil {
		return err
	}
	return server.OK(c, article)
}

func (a *API) oneArticle(c echo.Context) error {
	id, err := server.PathID(c, "id")
	if err != nil {
		return err
	}
	data, etag, err := a.Articles.Cache().Encoded(c.Request().Context(), id)
	if err != nil {
		return server.NotFoundIf(err, cache.ErrNull, msgNoArticle)
	}
	return server.SendEncoded(c, data, etag)
}
