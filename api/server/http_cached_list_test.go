package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
)

// fixed is a list that a cache has, or fails to have.
type fixed struct {
	data string
	err  error
}

func (f fixed) Encoded(context.Context) ([]byte, string, error) {
	return []byte(f.data), `"` + f.data[1:2] + `"`, f.err
}

func listAnswer(list server.Encoded, path string, set func(http.Header), opt ...server.ListOptions) *httptest.ResponseRecorder {
	e := echo.New()
	e.GET("/list", server.CachedList(list, opt...))
	r := httptest.NewRequest(http.MethodGet, path, nil)
	set(r.Header)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func TestCachedListAnswersWhoHasItAlready(t *testing.T) {
	t.Parallel()
	for given, status := range map[string]int{
		"":                 200,
		`"1"`:              304,
		`W/"1"`:            304,
		`"0", "1"`:         304,
		`"0",W/"1" , "2"`:  304,
		"*":                304,
		`"2"`:              200,
		`1`:                200,
		`"1.en"`:           200,
		`"1`:               200,
		`, ,`:              200,
		`"11"`:             200,
		`"0"` + ` "1"`:     200,
		`"1" trailing, ""`: 200,
	} {
		got := listAnswer(fixed{data: "[1]"}, "/list", func(h http.Header) { h.Set("If-None-Match", given) })
		require.Equal(t, status, got.Code, given)
		require.Equal(t, `"1"`, got.Header().Get("ETag"))
		require.Equal(t, "no-cache", got.Header().Get("Cache-Control"))
		require.Equal(t, "Accept-Language", got.Header().Get("Vary"))
		if status == 200 {
			require.Equal(t, `{"code":100,"msg":"成功","data":[1]}`+"\n", got.Body.String())
			require.Equal(t, "application/json", got.Header().Get("Content-Type"))
		} else {
			require.Empty(t, got.Body.String())
			require.Empty(t, got.Header().Get("Content-Type"))
		}
	}
}

func TestCachedListFollowsTheLanguage(t *testing.T) {
	t.Parallel()
	english := func(h http.Header) { h.Set("Accept-Language", "en") }
	got := listAnswer(fixed{data: "[1]"}, "/list", english, server.ListOptions{MaxAge: 90 * time.Second})
	require.Equal(t, `{"code":100,"msg":"OK","data":[1]}`+"\n", got.Body.String())
	require.Equal(t, `"1.en"`, got.Header().Get("ETag"), "other bytes, another tag")
	require.Equal(t, "public, max-age=90", got.Header().Get("Cache-Control"))
	got = listAnswer(fixed{data: "[1]"}, "/list", func(h http.Header) { english(h); h.Set("If-None-Match", `"1"`) })
	require.Equal(t, 200, got.Code)
	got = listAnswer(fixed{data: "[1]"}, "/list?pretty", english)
	require.Contains(t, got.Body.String(), "\n  \"data\": [\n    1\n  ]\n")
	require.Equal(t, "no-store", got.Header().Get("Cache-Control"))
	got = listAnswer(fixed{data: "[1]"}, "/list?a=b", english)
	require.Equal(t, `"1.en"`, got.Header().Get("ETag"))
	got = listAnswer(fixed{data: "[1]", err: &server.Failure{Status: 503}}, "/list", english)
	require.Equal(t, 500, got.Code, "another server's error handler does not know it")
}
