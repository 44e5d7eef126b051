package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// ownPages passes a GET that changes something on to next unless a page of another site makes a browser send it, which
// takes no more than the address of an image. Programs and pages of CORSOrigins may.
func (s *Server) ownPages(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !s.fromOwnPage(c.Request()) {
			return &apiError{
				status: http.StatusForbidden,
				msg: text{
					"其他网站的页面不能用 GET 发送短信，请使用 POST /v1/sms",
					"pages of other sites may not send codes by GET: use POST /v1/sms",
				},
			}
		}
		return next(c)
	}
}

// fromOwnPage goes by what browsers send and pages cannot change: Sec-Fetch-Site (Fetch Metadata, W3C), which they leave
// out where the API is reached without TLS, then Origin and Referer. A page can have both of these left out too; then
// the name that all browsers begin with tells that there is one.
func (s *Server) fromOwnPage(r *http.Request) bool {
	page := r.Header.Get("Origin")
	if page == "" {
		page = r.Header.Get("Referer")
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "same-site", "none":
		return true
	case "":
		if page == "" {
			return !strings.HasPrefix(r.UserAgent(), "Mozilla/")
		}
		return s.allows(page) || sameHost(page, r.Host)
	}
	return s.allows(page)
}

// allows tells whether the page is of one of CORSOrigins. It may be a page's address or its origin.
func (s *Server) allows(page string) bool {
	if slices.Contains(s.CORSOrigins, "*") {
		return true
	}
	u, err := url.Parse(page)
	return err == nil && u.Host != "" && slices.ContainsFunc(s.CORSOrigins, func(origin string) bool {
		return strings.EqualFold(origin, u.Scheme+"://"+u.Host)
	})
}

// sameHost leaves ports out of account, which a proxy may change, as the word same-site does.
func sameHost(page, host string) bool {
	u, err := url.Parse(page)
	own := url.URL{Host: host}
	return err == nil && u.Hostname() != "" && strings.EqualFold(u.Hostname(), own.Hostname())
}
