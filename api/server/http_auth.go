package server

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// Identity is who sends a request.
type Identity struct {
	User     string // whom rates count and the log names, or the name of an operator's key; "" is nobody who is logged in
	Operator bool   // may use the routes of Operators, and sees all of every task
	Observer bool   // may use the routes of Observers, as every operator may
	Value    any    // the application's own, for its handlers

	byKey bool // User is the name of a key: rates do not count it, and it may be that of a user, too
}

// role is what the audit log calls the identity.
func (i Identity) role() string {
	switch {
	case i.Operator:
		return string(RoleOperator)
	case i.Observer:
		return string(RoleObserver)
	case i.User != "":
		return "user"
	}
	return ""
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
		requestOf(c).identity = identity
		switch {
		case who == Operators && !identity.Operator:
			return refuseOperator(c.Request(), identity)
		case who == Observers && !identity.Operator && !identity.Observer:
			return refuseObserver(c.Request(), identity)
		}
		return next(c)
	}
}

// identify recognises operators and users. A stranger is no error.
func (s *Server) identify(c echo.Context) (Identity, error) {
	token, given := Bearer(c.Request())
	guesses := given && (s.OperatorKey != "" || s.OperatorKeys != nil)
	if guesses {
		if err := s.checkGuesses(c); err != nil {
			return Identity{}, err
		}
		if name, role, ok := s.matchKey(token); ok {
			return Identity{User: name, Operator: role == RoleOperator, Observer: true, byKey: true}, nil
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
	if guesses && identity.User == "" && !identity.Operator && !identity.Observer { // what a user sends is no guess
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
	if identity.Observer && !identity.Operator {
		return &Failure{
			Status: http.StatusForbidden,
			Msg:    Text{"观察者只能查看，不能操作：请使用运营人员的密钥", "an observer may look, and not act: use an operator's key"},
		}
	}
	if identity.User != "" {
		return &Failure{
			Status: http.StatusForbidden,
			Msg:    Text{"只有运营人员可以这样做", "only an operator may do this"},
		}
	}
	return refuseKey(r)
}

func refuseObserver(r *http.Request, identity Identity) error {
	if identity.User != "" {
		return &Failure{
			Status: http.StatusForbidden,
			Msg:    Text{"只有运营人员和观察者可以查看", "only operators and observers may see this"},
		}
	}
	return refuseKey(r)
}

func refuseKey(r *http.Request) error {
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

// matchKey tells whose key a token is. Both sets are always looked through.
func (s *Server) matchKey(token string) (name string, role Role, ok bool) {
	name, role, ok = matchKey(s.ownKey, token)
	other, itsRole, found := s.OperatorKeys.Match(token)
	if !ok {
		name, role, ok = other, itsRole, found
	}
	return name, role, ok
}
