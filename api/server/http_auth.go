package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// access is who may use a route.
type access int

const (
	anyone           access = iota
	anyoneOrOperator        // an operator sees more
	users
	operators
)

// userOf is the id of the user who is logged in, on a route for users.
func userOf(c echo.Context) int64 { return requestOf(c).user }

func isOperator(c echo.Context) bool { return requestOf(c).operator }

// authorize refuses a request whose sender may not use the route. It stores the sender in the request.
func (s *Server) authorize(who access, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if who == anyone {
			return next(c)
		}
		token, given := bearer(c.Request())
		r := requestOf(c)
		if who == users {
			if !given {
				return unauthorized(text{"请先登录", "log in first"}, nil)
			}
			var err error
			if r.user, err = s.tokens.user(token); err != nil {
				return err
			}
			return next(c)
		}
		if given {
			var err error
			if r.operator, err = s.checkOperatorKey(c, token); err != nil {
				return err
			}
		}
		if who == operators && !r.operator {
			return s.refuseOperator(token, given)
		}
		return next(c)
	}
}

func (s *Server) refuseOperator(token string, given bool) error {
	if !given {
		return unauthorized(text{"需要运营密钥", "this needs the operator key"}, nil)
	}
	if _, err := s.tokens.user(token); err == nil {
		return &apiError{
			status: http.StatusForbidden,
			msg:    text{"只有运营人员可以这样做", "only an operator may do this"},
		}
	}
	return unauthorized(text{"运营密钥不正确", "the operator key is wrong"}, nil)
}

func unauthorized(msg text, cause error) *apiError {
	return &apiError{status: http.StatusUnauthorized, msg: msg, cause: cause}
}

// bearer is the token of an Authorization header (RFC 6750).
func bearer(r *http.Request) (token string, given bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, token != "" && strings.EqualFold(scheme, "Bearer")
}

// checkOperatorKey reports whether the token is an operator's key. An address that tried too many wrong keys is refused
// whatever it sends, or the answers would still tell it which guess is right.
func (s *Server) checkOperatorKey(c echo.Context, token string) (bool, error) {
	addr, now := addressOf(c), requestOf(c).begun
	if addr.IsValid() {
		if wait := s.rates.wrongKeys.peek(addr, now); wait > 0 {
			return false, rateLimited(wait)
		}
	}
	if s.isOperatorKey(token) {
		return true, nil
	}
	if _, err := s.tokens.user(token); err != nil && addr.IsValid() { // a user's token is no guess
		s.rates.wrongKeys.take(addr, now)
	}
	return false, nil
}

// isOperatorKey compares digests, so that the time it takes depends on neither the key's content nor its length.
func (s *Server) isOperatorKey(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], s.operatorSum[:]) == 1
}
