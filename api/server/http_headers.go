package server

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// setSecurityHeaders sets the headers that tell browsers to treat every answer as data, and to show it in no page. Web
// and /docs replace the policy with their own.
func setSecurityHeaders(h http.Header) {
	h["X-Content-Type-Options"] = noSniff
	h["Content-Security-Policy"] = noContent
}

// Header values that every answer shares. Nothing may write to them.
var (
	noSniff   = []string{"nosniff"}
	noContent = []string{"default-src 'none'; frame-ancestors 'none'"}
)

func allowOrigins(origins []string) echo.MiddlewareFunc {
	return middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins: origins,
		AllowMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete},
		AllowHeaders: []string{
			echo.HeaderAuthorization, echo.HeaderContentType, echo.HeaderXRequestID, "Accept-Language", lastEventID,
		},
		ExposeHeaders: []string{echo.HeaderXRequestID, echo.HeaderRetryAfter},
		MaxAge:        int((10 * time.Minute).Seconds()),
	})
}

// withoutTrailingSlash serves /v1/tasks/ as /v1/tasks, and what http.StripPrefix leaves nothing of as /. The request of a host
// is not changed.
func withoutTrailingSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := r.URL.Path; path == "" || len(path) > 1 && strings.HasSuffix(path, "/") {
			own, u := *r, *r.URL
			u.Path = cmp.Or(strings.TrimSuffix(u.Path, "/"), "/")
			u.RawPath = strings.TrimSuffix(u.RawPath, "/")
			own.URL = &u
			r = &own
		}
		next.ServeHTTP(w, r)
	})
}
