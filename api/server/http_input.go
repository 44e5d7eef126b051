package server

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"
)

// prettyParam asks any route for an indented answer.
const prettyParam = "pretty"

// checkInput refuses a request with parameters or a body that the route does not take. An ignored parameter could be the one
// that should limit what the request destroys.
func (r Route) checkInput(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := r.checkQuery(c.Request().URL.RawQuery); err != nil {
			return err
		}
		if r.Body {
			r.takeBody(c)
		} else if err := checkNoBody(c.Request()); err != nil {
			return err
		}
		return next(c)
	}
}

// checkQuery refuses malformed queries, unknown parameters, and parameters that are given twice.
func (r Route) checkQuery(raw string) error {
	if raw == "" || r.AnyQuery {
		return nil
	}
	given, err := url.ParseQuery(raw)
	if err != nil {
		return BadRequest("query", Text{"查询串不正确", "the query is malformed"})
	}
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.Sort(names) // so that the same request gets the same answer
	for _, name := range names {
		switch {
		case !r.takes(name):
			return BadRequest(name, Textf("这里没有 %s 这个参数", "there is no parameter %s here", name))
		case len(given[name]) > 1:
			return BadRequest(name, Textf("%s 出现了两次", "%s is given twice", name))
		}
	}
	return nil
}

// checkNoBody refuses a request that has a body. One of unknown length may turn out to be empty.
func checkNoBody(r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	if r.ContentLength < 0 {
		var b [1]byte
		switch n, err := io.ReadFull(r.Body, b[:]); {
		case n == 0 && errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return unreadable(err)
		}
	}
	return BadRequest("body", Text{"这个地址不接受请求体", "this route takes no body"})
}
