package shop

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/paidui/paidui/api/server"
)

const issuer = "paidui"

// tokens makes and reads the JWTs that users are recognised by. It is safe for concurrent use.
type tokens struct {
	secrets  []jwt.VerificationKey // []byte each; the first one signs
	lifetime time.Duration
	now      func() time.Time
	scratch  sync.Pool // of *scratch
}

// newTokens signs with secret. Tokens that one of the previous secrets signed are taken, too; those that are "" are none.
func newTokens(secret string, lifetime time.Duration, previous ...string) *tokens {
	t := &tokens{secrets: []jwt.VerificationKey{[]byte(secret)}, lifetime: lifetime, now: time.Now}
	for _, p := range previous {
		if p != "" {
			t.secrets = append(t.secrets, []byte(p))
		}
	}
	t.scratch.New = func() any {
		s := new(scratch)
		for _, key := range t.secrets {
			s.macs = append(s.macs, hmac.New(sha256.New, key.([]byte)))
		}
		return s
	}
	return t
}

// issue makes a token of the user.
func (t *tokens) issue(userID int64) (string, error) {
	now := t.now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer:    issuer,
		Subject:   strconv.FormatInt(userID, 10),
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(t.lifetime)),
	}).SignedString(t.secrets[0])
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token, nil
}

// user returns the id of the token's user.
func (t *tokens) user(token string) (int64, error) {
	if id, ok := t.parseOwn(token); ok {
		return id, nil
	}
	return t.parse(token)
}

// parse reads any token that is signed with one of the secrets. Its errors are those for the client.
func (t *tokens) parse(token string) (int64, error) {
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(token, &claims,
		func(*jwt.Token) (any, error) { return jwt.VerificationKeySet{Keys: t.secrets}, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(issuer),
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(t.now),
	)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return 0, server.Unauthorized(server.Textf("登录已过期，请重新登录", "the login has expired, log in again"), err)
	case err != nil:
		return 0, server.Unauthorized(server.Textf("登录凭证无效，请重新登录", "the token is not valid, log in again"), err)
	}
	id, err := strconv.ParseInt(claims.Subject, 10, 64)
	if err != nil || id <= 0 {
		return 0, server.Unauthorized(server.Textf("登录凭证无效，请重新登录", "the token is not valid, log in again"), err)
	}
	return id, nil
}

// The fixed text of issued tokens: {"alg":"HS256","typ":"JWT"} in base64, and the claims around the numbers.
var (
	ownHeader  = []byte("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.")
	beforeUser = []byte(`{"iss":"` + issuer + `","sub":"`)
	beforeExp  = []byte(`","exp":`)
	beforeIat  = []byte(`,"iat":`)
	afterIat   = []byte(`}`)
)

// scratch has the buffers for reading a token.
type scratch struct {
	macs    []hash.Hash // one for each secret
	token   []byte
	sum     []byte
	decoded []byte
}

// parseOwn reads a token of exactly the form that issue writes, for a tenth of the cost of parse. ok is false for any other
// form, valid or not, and for an expired token.
func (t *tokens) parseOwn(token string) (userID int64, ok bool) {
	s := t.scratch.Get().(*scratch)
	defer t.scratch.Put(s)
	s.token = append(s.token[:0], token...)
	dot := bytes.LastIndexByte(s.token, '.')
	if dot < len(ownHeader) || !bytes.HasPrefix(s.token, ownHeader) {
		return 0, false
	}
	if !s.signed(s.token[:dot], s.token[dot+1:]) {
		return 0, false
	}
	claims, err := base64.RawURLEncoding.AppendDecode(s.decoded[:0], s.token[len(ownHeader):dot])
	if err != nil {
		return 0, false
	}
	s.decoded = claims
	id, rest, ok1 := cutNumber(claims, beforeUser)
	expires, rest, ok2 := cutNumber(rest, beforeExp)
	_, rest, ok3 := cutNumber(rest, beforeIat)
	if !ok1 || !ok2 || !ok3 || !bytes.Equal(rest, afterIat) || t.now().Unix() >= expires {
		return 0, false
	}
	return id, true
}

// signed reports whether one of the secrets makes that signature of the text.
func (s *scratch) signed(text, signature []byte) bool {
	for _, mac := range s.macs {
		mac.Reset()
		mac.Write(text)
		s.sum = mac.Sum(s.sum[:0])
		s.decoded = base64.RawURLEncoding.AppendEncode(s.decoded[:0], s.sum)
		if hmac.Equal(s.decoded, signature) {
			return true
		}
	}
	return false
}

// cutNumber reads prefix and a number above 0 behind it. It refuses one too large for an int64, or that begins with 0.
func cutNumber(b, prefix []byte) (n int64, rest []byte, ok bool) {
	b, ok = bytes.CutPrefix(b, prefix)
	if !ok || len(b) == 0 || b[0] == '0' {
		return 0, nil, false
	}
	digits := 0
	for digits < len(b) && '0' <= b[digits] && b[digits] <= '9' {
		n = n*10 + int64(b[digits]-'0')
		digits++
	}
	const safe = 18 // digits always fit
	return n, b[digits:], 1 <= digits && digits <= safe
}
