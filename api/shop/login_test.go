package shop_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/sms"
)

type session struct {
	Token string `json:"token"`
	User  struct {
		ID     int64  `json:"id"`
		Name   string `json:"name"`
		Mobile string `json:"mobile"`
		Photo  string `json:"photo"`
		Intro  string `json:"intro"`
	} `json:"user"`
}

const mobile = "13812345678"

// codeFor puts a code where a sent one is kept.
func (s *system) codeFor(t *testing.T, mobile, code string) {
	t.Helper()
	require.NoError(t, s.cache.Set(t.Context(), "send_sms_code_"+mobile, code, time.Minute).Err())
}

func (s *system) login(t *testing.T, mobile string) session {
	t.Helper()
	s.codeFor(t, mobile, "135790")
	a := s.Post("/v1/login", map[string]string{"mobile": mobile, "code": "135790"})
	require.Equal(t, 100, a.Code, "%s", a.Raw)
	var got session
	a.Into(t, &got)
	return got
}

func TestFromCodeToProfile(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T) *system{
		"real":     func(t *testing.T) *system { return start(t) },
		"embedded": startEmbedded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t)
			s.work(t)
			sent := s.Post("/v1/sms", map[string]string{"mobile": mobile})
			require.Equal(t, 100, sent.Code, "%s", sent.Raw)
			require.True(t, strings.HasPrefix(sent.TaskID, "sms_"), sent.TaskID)

			done := s.Get("/v1/tasks/" + sent.TaskID + "?wait=20s")
			require.Equal(t, 100, done.Code)
			require.Contains(t, string(done.Data), mobile+"的短信发送成功")
			require.NotContains(t, string(done.Data), "args")

			var messages []struct{ Code, Content string }
			s.Get("/v1/outbox?mobile="+mobile, asOperator).Into(t, &messages)
			require.Len(t, messages, 1)
			require.Contains(t, messages[0].Content, messages[0].Code)

			login := map[string]string{"mobile": mobile, "code": messages[0].Code}
			first := s.Post("/v1/login/", login)
			require.Equal(t, 100, first.Code, "%s", first.Raw)
			var in session
			first.Into(t, &in)
			require.Equal(t, mobile, in.User.Mobile)

			again := s.Post("/user/mobile_login", login)
			require.Equal(t, http.StatusBadRequest, again.Code, "a code works once")
			require.Equal(t, "code", again.Field)

			own := s.Get("/v1_0/user/", bearer(in.Token))
			require.Equal(t, 100, own.Code)
			changed := s.Put("/v1/user", map[string]string{"name": "小明", "photo": "/media/a.png", "intro": "你好\n再见"}, bearer(in.Token))
			require.Equal(t, 100, changed.Code, "%s", changed.Raw)
			require.Contains(t, string(s.Get("/v1/user", bearer(in.Token)).Data), `"name":"小明"`)
			public := s.Get("/v1/users/" + strconv.FormatInt(in.User.ID, 10))
			require.Contains(t, string(public.Data), `"name":"小明"`)
			require.NotContains(t, string(public.Data), "mobile")
			require.Equal(t, http.StatusNotFound, s.Get("/v1/users/999999").Code)

			second := s.login(t, mobile)
			require.Equal(t, in.User.ID, second.User.ID)
			require.NotContains(t, s.log.String(), mobile)
			require.NotContains(t, s.log.String(), messages[0].Code)
			require.NotContains(t, s.log.String(), in.Token)
		})
	}
}

func TestSMSLimits(t *testing.T) {
	t.Parallel()
	s := start(t)
	require.Equal(t, 100, s.Get("/user/send_sms?mobile="+mobile).Code)
	a := s.Post("/v1/sms", map[string]string{"mobile": mobile})
	require.Equal(t, http.StatusTooManyRequests, a.Status)
	wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.True(t, wait >= 1 && wait <= 60, wait)
}

func TestLoginFailures(t *testing.T) {
	t.Parallel()
	s := start(t)
	none := s.Post("/v1/login", map[string]string{"mobile": mobile, "code": "123456"})
	require.Equal(t, []any{400, "code"}, []any{none.Code, none.Field})
	s.codeFor(t, mobile, "123456")
	for range 4 {
		a := s.Post("/v1/login", map[string]string{"mobile": mobile, "code": "000000"}, inEnglish)
		require.Equal(t, []any{400, "code", "the code is wrong"}, []any{a.Code, a.Field, a.Msg})
	}
	a := s.Post("/v1/login", map[string]string{"mobile": mobile, "code": "000000"})
	require.Equal(t, http.StatusTooManyRequests, a.Code)
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	a = s.Post("/v1/login", map[string]string{"mobile": mobile, "code": "123456"})
	require.GreaterOrEqual(t, a.Code, 400, "five wrong tries make the right code void")
	var users int64
	require.NoError(t, s.db.Model(&shop.User{}).Count(&users).Error)
	require.Zero(t, users)
}

// from makes the request come from the address, through a proxy that is trusted.
func from(addr string) with { return header("X-Forwarded-For", addr) }

func behindAProxy(o *options) {
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

func requireTooMany(t *testing.T, a answer, field string) {
	t.Helper()
	require.Equal(t, []any{http.StatusTooManyRequests, field}, []any{a.Status, a.Field}, "%s", a.Raw)
	wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.True(t, wait >= 1 && wait <= 3600, wait)
}

func TestAnAddressIsSentOnlySoManyCodes(t *testing.T) {
	t.Parallel()
	s := start(t, behindAProxy)
	send := func(i int, addr string) answer {
		return s.Post("/v1/sms", map[string]string{"mobile": fmt.Sprint(13800000000 + i)}, from(addr))
	}
	for i := range 20 {
		require.Equal(t, 100, send(i, "203.0.113.9").Code)
	}
	requireTooMany(t, send(20, "203.0.113.9"), "mobile")
	require.Equal(t, 100, send(20, "203.0.113.10").Code, "the number and other addresses go on")
}

func TestAnAddressTriesOnlySoManyCodes(t *testing.T) {
	t.Parallel()
	s := start(t, behindAProxy)
	try := func(mobile, code, addr string) answer {
		return s.Post("/v1/login", map[string]string{"mobile": mobile, "code": code}, from(addr), inEnglish)
	}
	for i := range 60 {
		require.Equal(t, 400, try(fmt.Sprint(13800000000+i), "000000", "203.0.113.9").Code)
	}
	s.codeFor(t, mobile, "123456")
	for range 6 {
		a := try(mobile, "000000", "203.0.113.9")
		requireTooMany(t, a, "code")
		require.Equal(t, "too many wrong codes were tried, try again later", a.Msg)
	}
	requireTooMany(t, try(mobile, "123456", "203.0.113.9"), "code")
	require.Equal(t, 100, try(mobile, "123456", "203.0.113.10").Code, "the code is not void")
}

// A stranger asks for codes to a number and tries them, from one address as often as it can.
func TestAStrangerDoesNotLockAnOwnerOut(t *testing.T) {
	t.Parallel()
	s := start(t, behindAProxy)
	send := func(addr string) answer {
		require.NoError(t, s.cache.Del(t.Context(), "paidui:sms:{"+mobile+"}:minute").Err()) // a minute passes
		return s.Post("/v1/sms", map[string]string{"mobile": mobile}, from(addr), inEnglish)
	}
	try := func(code, addr string) answer {
		return s.Post("/v1/login", map[string]string{"mobile": mobile, "code": code}, from(addr))
	}
	for range 5 {
		require.Equal(t, 100, send("203.0.113.9").Code)
	}
	refused := send("203.0.113.9")
	require.Equal(t, []any{http.StatusTooManyRequests, "mobile"}, []any{refused.Status, refused.Field})
	require.Equal(t, "this network has had its codes to this number for today", refused.Msg)

	require.Equal(t, 100, send("198.51.100.1").Code, "the owner")
	code := s.cache.Get(t.Context(), "send_sms_code_"+mobile).Val()
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	for range 4 {
		require.Equal(t, 400, try(wrong, "203.0.113.9").Code)
	}
	requireTooMany(t, try(wrong, "203.0.113.9"), "code")
	requireTooMany(t, try(code, "203.0.113.9"), "code")
	require.Equal(t, 100, try(code, "198.51.100.1").Code)
}

func TestOnlySoManyCodesAreSentInAll(t *testing.T) {
	t.Parallel()
	s := start(t, behindAProxy, func(o *options) {
		o.Shop.Codes = sms.NewCodes(o.Cache, o.Tasks, sms.Limits{PerMinuteAll: 3})
	})
	send := func(i int) answer {
		return s.Post("/v1/sms", map[string]string{"mobile": fmt.Sprint(13800000000 + i)}, from(fmt.Sprint("203.0.113.", i)), inEnglish)
	}
	for i := range 3 {
		require.Equal(t, 100, send(i).Code)
	}
	for i := range 3 {
		a := send(10 + i)
		require.Equal(t, http.StatusServiceUnavailable, a.Status)
		require.Equal(t, "too many codes are being sent, try again later", a.Msg)
		wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
		require.NoError(t, err)
		require.True(t, wait >= 1 && wait <= 60, wait)
	}
	require.NotContains(t, s.log.String(), "request failed", "what happens to many at once is counted, not told")
}

func TestConcurrentFirstLogins(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.codeFor(t, mobile, "123456")
	codes := make(chan int, 20)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { codes <- s.Post("/v1/login", map[string]string{"mobile": mobile, "code": "123456"}).Code })
	}
	all.Wait()
	close(codes)
	won := 0
	for code := range codes {
		if code == 100 {
			won++
		}
	}
	require.Equal(t, 1, won)
	var users []shop.User
	require.NoError(t, s.db.Find(&users).Error)
	require.Len(t, users, 1)
}

func sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	require.NoError(t, err)
	return token
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	in := s.login(t, mobile)
	id := strconv.FormatInt(in.User.ID, 10)
	later := time.Now().Add(time.Hour).Unix()
	good := jwt.MapClaims{"sub": id, "iss": "paidui", "exp": later}
	claims := func(name string, value any) jwt.MapClaims {
		c := jwt.MapClaims{"sub": id, "iss": "paidui", "exp": later}
		if c[name] = value; value == nil {
			delete(c, name)
		}
		return c
	}
	secret := []byte(jwtSecret)
	parts := strings.Split(in.Token, ".")
	tests := map[string]with{
		"none":            func(*http.Request) {},
		"empty":           header("Authorization", "Bearer "),
		"basic":           header("Authorization", "Basic dTpw"),
		"no token":        bearer("hello"),
		"expired":         bearer(sign(t, jwt.SigningMethodHS256, secret, claims("exp", time.Now().Add(-time.Second).Unix()))),
		"never expires":   bearer(sign(t, jwt.SigningMethodHS256, secret, claims("exp", nil))),
		"other issuer":    bearer(sign(t, jwt.SigningMethodHS256, secret, claims("iss", "someone"))),
		"no subject":      bearer(sign(t, jwt.SigningMethodHS256, secret, claims("sub", nil))),
		"subject 0":       bearer(sign(t, jwt.SigningMethodHS256, secret, claims("sub", "0"))),
		"subject a word":  bearer(sign(t, jwt.SigningMethodHS256, secret, claims("sub", "root"))),
		"user is gone":    bearer(sign(t, jwt.SigningMethodHS256, secret, claims("sub", "987654321"))),
		"another secret":  bearer(sign(t, jwt.SigningMethodHS256, []byte("another secret, as long as the first"), good)),
		"HS512":           bearer(sign(t, jwt.SigningMethodHS512, secret, good)),
		"alg none":        bearer(sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good)),
		"no signature":    bearer(parts[0] + "." + parts[1] + "."),
		"another payload": bearer(parts[0] + "." + strings.Split(sign(t, jwt.SigningMethodHS256, []byte("x"), claims("sub", "1")), ".")[1] + "." + parts[2]),
		"operator's key":  asOperator,
	}
	for name, auth := range tests {
		t.Run(name, func(t *testing.T) {
			a := s.On(t).Get("/v1/user", auth)
			require.Equal(t, http.StatusUnauthorized, a.Status, "%s", a.Raw)
			require.Contains(t, a.Header.Get("WWW-Authenticate"), "Bearer")
		})
	}
	require.Equal(t, 100, s.Get("/v1/user", bearer(sign(t, jwt.SigningMethodHS256, secret, good))).Code)
	require.Equal(t, 100, s.Get("/v1/user", header("Authorization", "bearer "+in.Token)).Code)

	var issued jwt.RegisteredClaims
	_, _, err := jwt.NewParser().ParseUnverified(in.Token, &issued)
	require.NoError(t, err)
	require.Equal(t, id, issued.Subject)
	require.Equal(t, 7*24*time.Hour, issued.ExpiresAt.Sub(issued.IssuedAt.Time))
}

func TestOperatorRoutes(t *testing.T) {
	t.Parallel()
	s := start(t)
	user := s.login(t, mobile).Token
	routes := map[string]string{
		"/v1/banners": http.MethodPost, "/v1/banners/1": http.MethodPut, "/v1/banners/2": http.MethodDelete,
		"/v1/goods": http.MethodPost, "/v1/goods/1": http.MethodPut,
		"/v1/task-types": http.MethodGet, "/v1/tasks": http.MethodPost, "/v1/schedules": http.MethodGet,
	}
	for path, method := range routes {
		require.Equal(t, http.StatusUnauthorized, s.Do(method, path, nil).Status, path)
		require.Equal(t, http.StatusUnauthorized, s.Do(method, path, nil, bearer(operatorKey+"x")).Status, path)
		require.Equal(t, http.StatusForbidden, s.Do(method, path, nil, bearer(user)).Status, path)
	}
	require.JSONEq(t, `{"schedules":[],"next_cursor":null}`, string(s.Get("/v1/schedules", asOperator).Data))
	types := s.Get("/v1/task-types", asOperator)
	require.Contains(t, string(types.Data), `"name":"demo.add"`)
	require.Contains(t, string(types.Data), `"required":["n","m"]`)
}
