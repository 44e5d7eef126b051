package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/models/cache"
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
	got = listAnswer(fixed{data: "[1]", err: &cache.BusyError{}}, "/list", english)
	require.Equal(t, 500, got.Code, "another server's error handler does not know it")
}

// TestTheDocumentedListIsShort has the list of one's own in the documentation be this, and compile, but for the names of its
// rows.
func TestTheDocumentedListIsShort(t *testing.T) {
	t.Parallel()
	type Link struct{ Title string }
	store, stop := exampleStore()
	defer stop()
	e, db := echo.New(), (*gorm.DB)(nil)

	links := cache.NewList(store, cache.ListConfig[Link]{
		Name: "links", Key: "home_links", Expiry: time.Hour, Near: 1,
		Load: func(ctx context.Context) (list []Link, err error) {
			err = db.WithContext(ctx).Order("id").Find(&list).Error
			return list, err
		},
	})
	e.GET("/v1/links", server.CachedList(links, server.ListOptions{MaxAge: time.Minute}))

	source, err := os.ReadFile("http_cached_list_test.go")
	require.NoError(t, err)
	page, err := os.ReadFile(filepath.Join("..", "..", "deploy", "docs", "caches.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "```go\nlinks := ")
	require.True(t, found)
	shown, _, _ := strings.Cut(rest, "```")
	shown = "links := " + shown
	require.Less(t, strings.Count(shown, "\n"), 10)
	var indented strings.Builder
	for line := range strings.Lines(shown) {
		indented.WriteString("\t" + line)
	}
	require.Contains(t, string(source), indented.String())
}

func TestBannersAndProfilesHaveETags(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	s.post("/v1/banners", map[string]any{"title": "t", "image": "/i.png"}, asOperator)
	user := bearer(s.login(t, "13800000000").Token)
	for _, path := range []string{"/v1/banners", "/home/banner/", "/v1/users/1"} {
		first := s.get(path)
		require.Equal(t, 200, first.status)
		etag := first.header.Get("ETag")
		require.NotEmpty(t, etag)
		require.Equal(t, 304, s.get(path, header("If-None-Match", etag)).status)
		inOther := s.get(path, inEnglish, header("If-None-Match", etag))
		require.Equal(t, 200, inOther.status)
		require.NotEqual(t, etag, inOther.header.Get("ETag"))
		var plain, other bytes.Buffer
		require.NoError(t, json.Compact(&plain, first.Data))
		require.NoError(t, json.Compact(&other, s.get(path+"?pretty").Data))
		require.Equal(t, plain.String(), other.String())
	}
	before := s.get("/v1/users/1").header.Get("ETag")
	require.Equal(t, 200, s.put("/v1/user", map[string]any{"name": "another"}, user).status)
	after := s.get("/v1/users/1", header("If-None-Match", before))
	require.Equal(t, 200, after.status, "a change shows at once")
	require.NotContains(t, string(after.raw), "mobile")
}
