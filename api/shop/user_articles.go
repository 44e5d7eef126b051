package server

import (
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/articles"
)

// articleBody is what a user publishes.
type articleBody struct {
	Title   string `json:"title" validate:"required,max=128,line"`
	Content string `json:"content" validate:"required,max=20000,text"`
}

// maxArticle is the largest body with an article, in bytes: a character may be written as two escapes of six bytes.
const maxArticle = 256 << 10

var msgNoArticle = text{"没有这篇文章", "there is no such article"}

func (s *Server) createArticle(c echo.Context) error {
	b, err := largeBody[articleBody](s, c, maxArticle)
	if err != nil {
		return err
	}
	article, err := s.Articles.Create(c.Request().Context(), userOf(c), b.Title, b.Content)
	if errors.Is(err, articles.ErrNoAuthor) {
		return unauthorized(msgUserGone, err)
	}
	if err != nil {
		return err
	}
	return ok(c, article)
}

func (s *Server) oneArticle(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	data, etag, err := s.Articles.Cache().Encoded(c.Request().Context(), id)
	if err != nil {
		return notFoundIf(err, cache.ErrNull, msgNoArticle)
	}
	return sendCached(c, askAgain, data, etag)
}
