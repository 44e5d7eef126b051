package shop_test

import (
	"bytes"
	"context"
	"encoding/json"
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
	s.Post("/v1/banners", map[string]any{"title": "t", "image": "/i.png"}, asOperator)
	user := bearer(s.login(t, "13800000000").Token)
	for _, path := range []string{"/v1/banners", "/home/banner/", "/v1/users/1"} {
		first := s.Get(path)
		require.Equal(t, 200, first.Status)
		etag := first.Header.Get("ETag")
		require.NotEmpty(t, etag)
		require.Equal(t, 304, s.Get(path, header("If-None-Match", etag)).Status)
		inOther := s.Get(path, inEnglish, header("If-None-Match", etag))
		require.Equal(t, 200, inOther.Status)
		require.NotEqual(t, etag, inOther.Header.Get("ETag"))
		var plain, other bytes.Buffer
		require.NoError(t, json.Compact(&plain, first.Data))
		require.NoError(t, json.Compact(&other, s.Get(path+"?pretty").Data))
		require.Equal(t, plain.String(), other.String())
	}
	before := s.Get("/v1/users/1").Header.Get("ETag")
	require.Equal(t, 200, s.Put("/v1/user", map[string]any{"name": "another"}, user).Status)
	after := s.Get("/v1/users/1", header("If-None-Match", before))
	require.Equal(t, 200, after.Status, "a change shows at once")
	require.NotContains(t, string(after.Raw), "mobile")
}
