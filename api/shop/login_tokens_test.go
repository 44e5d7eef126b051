package shop

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/api/server"
)

const tokenSecret = "a-secret-of-the-tests-32-bytes-long"

func TestOwnTokensAreReadWithoutTheParser(t *testing.T) {
	t.Parallel()
	ts := newTokens(tokenSecret, time.Hour)
	rapid.Check(t, func(t *rapid.T) {
		user := rapid.Int64Range(1, 1e18-1).Draw(t, "user")
		issued := time.Unix(rapid.Int64Range(1, 1<<33).Draw(t, "issued"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		ts.now = func() time.Time { return issued }
		token, err := ts.issue(user)
		require.NoError(t, err)
		id, ok := ts.parseOwn(token)
		require.True(t, ok)
		require.Equal(t, user, id)

		age := time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "age"))
		ts.now = func() time.Time { return issued.Add(age) }
		requireAlike(t, ts, token)
	})
}

// requireAlike demands that the short way of reading a token says what the parser says.
func requireAlike(t require.TestingT, ts *tokens, token string) {
	want, wantErr := ts.parse(token)
	got, err := ts.user(token)
	require.Equal(t, want, got, token)
	require.Equal(t, wantErr, err, token)
	if id, ok := ts.parseOwn(token); ok {
		require.NoError(t, wantErr, token)
		require.Equal(t, want, id, token)
	}
}

func TestChangedTokensAreReadAlike(t *testing.T) {
	t.Parallel()
	ts := newTokens(tokenSecret, time.Hour)
	now := time.Now()
	ts.now = func() time.Time { return now }
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=\n\x00"
	rapid.Check(t, func(t *rapid.T) {
		token, err := ts.issue(rapid.Int64Range(1, 1e9).Draw(t, "user"))
		require.NoError(t, err)
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		letter := string(letters[rapid.IntRange(0, len(letters)-1).Draw(t, "letter")])
		rest := token[at+rapid.IntRange(0, 1).Draw(t, "drop"):]
		if rapid.Bool().Draw(t, "cut") {
			rest = ""
		}
		requireAlike(t, ts, token[:at]+letter+rest)
	})
}

func TestSignedTokensOfAnotherFormAreReadAlike(t *testing.T) {
	t.Parallel()
	ts := newTokens(tokenSecret, time.Hour)
	now := time.Unix(1_800_000_000, 0)
	ts.now = func() time.Time { return now }
	sign := func(claims string) string {
		signing := strings.TrimSuffix(string(ownHeader), ".") + "." + (&jwt.Token{}).EncodeSegment([]byte(claims))
		signature, err := jwt.SigningMethodHS256.Sign(signing, []byte(tokenSecret))
		require.NoError(t, err)
		return signing + "." + (&jwt.Token{}).EncodeSegment(signature)
	}
	head, later := `{"iss":"paidui","sub":"7","exp":`, strconv.FormatInt(now.Unix()+1, 10)
	valid := map[string]bool{
		head + later + `,"iat":1}`:                                                 true,
		head + later + `}`:                                                         true,
		head + later + `,"iat":1,"x":2}`:                                           true,
		head + later + `.5,"iat":1}`:                                               true,
		`{"iss":"paidui","sub":"007","exp":` + later + `,"iat":1}`:                 true,
		`{"iss":"paidui","sub":"9223372036854775807","exp":` + later + `,"iat":1}`: true,
		head + `9e15,"iat":1}`:                                                     true,
		head + later + `,"iat":1} `:                                                true,
		head + later + `,"iat":1,"nbf":` + later + `}`:                             false,
		head + `1800000000,"iat":1}`:                                               false,
		head + `0,"iat":1}`:                                                        false,
		head + `-1,"iat":1}`:                                                       false,
		head + later + `,"iat":1}}`:                                                false,
		head + later + `,"iat":01}`:                                                false,
		head + `,"iat":1}`:                                                         false,
		`{"iss":"paidui","sub":"","exp":` + later + `,"iat":1}`:                    false,
		`{"iss":"paidui","sub":"0","exp":` + later + `,"iat":1}`:                   false,
		`{"iss":"paidui","sub":"-7","exp":` + later + `,"iat":1}`:                  false,
		`{"iss":"paidui","sub":"9223372036854775808","exp":` + later + `,"iat":1}`: false,
		`{"iss":"others","sub":"7","exp":` + later + `,"iat":1}`:                   false,
		`{"sub":"7","exp":` + later + `,"iat":1}`:                                  false,
		``: false,
	}
	for claims, good := range valid {
		token := sign(claims)
		requireAlike(t, ts, token)
		_, err := ts.user(token)
		require.Equal(t, good, err == nil, "%s: %v", claims, err)
	}
	for _, token := range []string{"", ".", "..", string(ownHeader), string(ownHeader) + ".", sign("{}") + "."} {
		requireAlike(t, ts, token)
	}
}

func TestATokenOfAnotherSecretOrTooOldIsRefused(t *testing.T) {
	t.Parallel()
	ts, others := newTokens(tokenSecret, time.Hour), newTokens(tokenSecret+"x", time.Hour)
	now := time.Now()
	ts.now = func() time.Time { return now }
	token, err := ts.issue(math.MaxInt32)
	require.NoError(t, err)
	for range 2 {
		id, err := ts.user(token)
		require.NoError(t, err)
		require.EqualValues(t, math.MaxInt32, id)
		_, err = others.user(token)
		requireUnauthorized(t, err)
	}
	now = now.Add(time.Hour + time.Second)
	_, err = ts.user(token)
	requireUnauthorized(t, err)
	require.ErrorIs(t, err, jwt.ErrTokenExpired)
}

func requireUnauthorized(t *testing.T, err error) {
	t.Helper()
	var e *server.Failure
	require.True(t, errors.As(err, &e), "%v", err)
	require.Equal(t, http.StatusUnauthorized, e.Status)
}

func TestTokensAreReadConcurrently(t *testing.T) {
	t.Parallel()
	ts := newTokens(tokenSecret, time.Hour)
	var all sync.WaitGroup
	for user := range int64(16) {
		all.Go(func() {
			token, err := ts.issue(user + 1)
			if err != nil {
				t.Error(err)
				return
			}
			forged := token[:len(token)-4] + "AAAA"
			for range 200 {
				if id, err := ts.user(token); id != user+1 || err != nil {
					t.Errorf("user %d read as %d: %v", user+1, id, err)
				}
				if _, ok := ts.parseOwn(forged); ok {
					t.Error("a forged token was taken")
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkToken(b *testing.B) {
	ts := newTokens(tokenSecret, time.Hour)
	token, err := ts.issue(123456)
	require.NoError(b, err)
	for name, read := range map[string]func(string) (int64, error){"own": ts.user, "any": ts.parse} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := read(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestTokensOfThePreviousSecretAreTaken changes the secret twice.
func TestTokensOfThePreviousSecretAreTaken(t *testing.T) {
	t.Parallel()
	first, second, third := strings.Repeat("a", 32), strings.Repeat("b", 32), strings.Repeat("c", 32)
	before, during, after := newTokens(first, time.Hour, ""), newTokens(second, time.Hour, first), newTokens(third, time.Hour, second)
	old, err := before.issue(7)
	require.NoError(t, err)
	current, err := during.issue(7)
	require.NoError(t, err)
	for name, read := range map[string]func(*tokens, string) (int64, bool){
		"own":   (*tokens).parseOwn,
		"parse": func(ts *tokens, token string) (int64, bool) { id, err := ts.parse(token); return id, err == nil },
	} {
		for _, c := range []struct {
			tokens *tokens
			token  string
			taken  bool
		}{
			{before, old, true}, {before, current, false},
			{during, old, true}, {during, current, true},
			{after, old, false}, {after, current, true},
		} {
			id, taken := read(c.tokens, c.token)
			require.Equal(t, c.taken, taken, name)
			if taken {
				require.EqualValues(t, 7, id)
			}
		}
	}
	_, err = during.user(old)
	require.NoError(t, err)
}
