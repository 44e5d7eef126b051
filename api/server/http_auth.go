package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// Identity is who sends a request.
type Identity struct {
	User     string // whom rates count and the log names; "" is nobody who is logged in
	Operator bool   // may use the routes of Operators, and sees all of every task
	Value    any    // the application's own, for its handlers
}

// IdentityOf returns who sends the request. It is the zero Identity on a route for Anyone.
func IdentityOf(c echo.Context) Identity {
	if r := stateOf(c); r != nil {
		return r.identity
	}
	return Identity{} // a handler of another server
}

// Bearer is the token of a request's Authorization header (RFC 6750).
func Bearer(r *http.Request) (token string, given bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, token != "" && strings.EqualFold(scheme, "Bearer")
}

func isOperator(c echo.Context) bool { return requestOf(c).identity.Operator }

// authorize refuses a request whose sender may not use the route. It stores the sender in the request.
func (s *Server) authorize(who Access, next echo.HandlerFunc) echo.HandlerFunc {
	switch who {
	case Anyone:
		return next
	case Users:
		return func(c echo.Context) error {
			identity, err := s.Identify(c.Request())
			if err != nil {
				return err
			}
			if identity.User == "" {
				return Unauthorized(Text{"请先登录", "log in first"}, nil)
			}
			requestOf(c).identity = identity
			return next(c)
		}
	}
	return func(c echo.Context) error {
		identity, err := s.identify(c)
		if err != nil {
			return err
		}
		if who == Operators && !identity.Operator {
			return refuseOperator(c.Request(), identity)
		}
		requestOf(c).identity = identity
		return next(c)
	}
}

// identify recognises operators and users. A stranger is no error.
func (s *Server) identify(c echo.Context) (Identity, error) {
	token, given := Bearer(c.Request())
	guesses := given && s.OperatorKey != ""
	if guesses {
		if err := s.checkGuesses(c); err != nil {
			return Identity{}, err
		}
		if s.isOperatorKey(token) {
			return Identity{Operator: true}, nil
		}
	}
	var identity Identity
	var err error
	if s.Identify != nil {
		identity, err = s.Identify(c.Request())
	}
	switch {
	case isUnauthorized(err):
		identity = Identity{}
	case err != nil:
		return Identity{}, err
	}
	if guesses && identity.User == "" && !identity.Operator { // what a user sends is no guess
		if addr := addressOf(c); addr.IsValid() {
			s.rates.wrongKeys.take(addr, requestOf(c).begun)
		}
	}
	return identity, nil
}

func isUnauthorized(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.Status == http.StatusUnauthorized
}

func refuseOperator(r *http.Request, identity Identity) error {
	if identity.User != "" {
		return &Failure{
			Status: http.StatusForbidden,
			Msg:    Text{"只有运营人员可以这样做", "only an operator may do this"},
		}
	}
	if _, given := Bearer(r); given {
		return Unauthorized(Text{"运营密钥不正确", "the operator key is wrong"}, nil)
	}
	return Unauthorized(Text{"需要运营密钥", "this needs the operator key"}, nil)
}

// checkGuesses refuses an address that tried too many wrong operator keys, whatever it sends, or the answers would still tell
// it which guess is right.
func (s *Server) checkGuesses(c echo.Context) error {
	if addr := addressOf(c); addr.IsValid() {
		if wait := s.rates.wrongKeys.peek(addr, requestOf(c).begun); wait > 0 {
			return rateLimited(wait)
		}
	}
	return nil
}

// isOperatorKey compares digests, so that the time it takes depends on neither the key's content nor its length.
func (s *Server) isOperatorKey(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], s.operatorSum[:]) == 1
}
