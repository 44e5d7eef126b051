package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
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

const (
	issuer      = "paidui"
	userKey     = "paidui.user"
	operatorKey = "paidui.operator"
)

// userOf is the id of the user who is logged in, on a route for users.
func userOf(c echo.Context) int64 {
	id, _ := c.Get(userKey).(int64)
	return id
}

func isOperator(c echo.Context) bool { return c.Get(operatorKey) == true }

// admit lets a request pass to next if it comes from who may.
func (s *Server) admit(who access, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if who == anyone {
			return next(c)
		}
		token, given := bearer(c.Request())
		operator := given && s.isOperatorKey(token)
		switch who {
		case anyoneOrOperator:
			c.Set(operatorKey, operator)
			return next(c)
		case operators:
			if !operator {
				return s.refuseOperator(token, given)
			}
			c.Set(operatorKey, true)
			return next(c)
		}
		if !given {
			return unauthorized(text{"请先登录", "log in first"}, nil)
		}
		id, err := s.userOfToken(token)
		if err != nil {
			return err
		}
		c.Set(userKey, id)
		return next(c)
	}
}

func (s *Server) refuseOperator(token string, given bool) error {
	if !given {
		return unauthorized(text{"需要运营密钥", "this needs the operator key"}, nil)
	}
	if _, err := s.userOfToken(token); err == nil {
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

// isOperatorKey compares digests, so that its time tells neither the key's content nor its length.
func (s *Server) isOperatorKey(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], s.operatorSum[:]) == 1
}

// newToken is the token with which the user is recognised from now on.
func (s *Server) newToken(userID int64, now time.Time) (string, error) {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer:    issuer,
		Subject:   strconv.FormatInt(userID, 10),
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(s.JWTLifetime)),
	}).SignedString([]byte(s.JWTSecret))
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token, nil
}

func (s *Server) userOfToken(token string) (int64, error) {
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(token, &claims,
		func(*jwt.Token) (any, error) { return []byte(s.JWTSecret), nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(issuer),
		jwt.WithExpirationRequired(),
	)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return 0, unauthorized(text{"登录已过期，请重新登录", "the login has expired, log in again"}, err)
	case err != nil:
		return 0, unauthorized(text{"登录凭证无效，请重新登录", "the token is not valid, log in again"}, err)
	}
	id, err := strconv.ParseInt(claims.Subject, 10, 64)
	if err != nil || id <= 0 {
		return 0, unauthorized(text{"登录凭证无效，请重新登录", "the token is not valid, log in again"}, err)
	}
	return id, nil
}
