package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// CrossSite reports whether a page of another site has a browser send the request. A GET with an effect refuses these, since
// such a page could send it as the address of an image. Programs and the pages of CORSOrigins are no other site.
func CrossSite(c echo.Context) bool { return !requestOf(c).server.sameSite(c.Request()) }

// sameSite judges by headers that browsers send and pages cannot change: Sec-Fetch-Site (Fetch Metadata, W3C), which they leave
// out where the API is reached without TLS, then Origin and Referer. A page can suppress both of these too; then
// the User-Agent, which begins alike in all browsers, tells that a browser sent the request.
func (s *Server) sameSite(r *http.Request) bool {
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
		return s.allowedOrigin(page) || sameHost(page, r.Host)
	}
	return s.allowedOrigin(page)
}

// allowedOrigin reports whether the page belongs to one of CORSOrigins. It may be a page's address or its origin.
func (s *Server) allowedOrigin(page string) bool {
	if slices.Contains(s.CORSOrigins, "*") {
		return true
	}
	u, err := url.Parse(page)
	return err == nil && u.Host != "" && slices.ContainsFunc(s.CORSOrigins, func(origin string) bool {
		return strings.EqualFold(origin, u.Scheme+"://"+u.Host)
	})
}

// sameHost compares host names without their ports, which a proxy may change. So does the value same-site.
func sameHost(page, host string) bool {
	u, err := url.Parse(page)
	own := url.URL{Host: host}
	return err == nil && u.Hostname() != "" && strings.EqualFold(u.Hostname(), own.Hostname())
}
