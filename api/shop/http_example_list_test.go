package shop_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/models/cache"
)

type link struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// A list endpoint with a cache: its key, how long it is kept, what a write to it does, and how it is read. Readers that
// have the list already send its ETag and get a 304.
func ExampleCachedList() {
	store, stop := exampleStore()
	defer stop()
	e := echo.New()

	links := cache.NewList(store, cache.ListConfig[link]{
		Name: "links", Key: "home_links", Expiry: time.Hour, Strategy: cache.DeleteOnWrite, Near: 1,
		Load: func(ctx context.Context) ([]link, error) {
			return []link{{"Go", "https://go.dev"}}, nil // from the database
		},
	})
	e.GET("/v1/links", server.CachedList(links, server.ListOptions{MaxAge: time.Minute}))

	first := get(e, "/v1/links", "")
	fmt.Print(first.Code, " ", first.Header().Get("Cache-Control"), " ", first.Body)
	again := get(e, "/v1/links", first.Header().Get("ETag"))
	fmt.Println(again.Code, again.Body.Len())
	// Output:
	// 200 public, max-age=60 {"code":100,"msg":"OK","data":[{"title":"Go","url":"https://go.dev"}]}
	// 304 0
}

func get(h http.Handler, path, etag string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Language", "en")
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// exampleStore is a store on a Redis within this process.
func exampleStore() (store *cache.Store, stop func()) {
	mini, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: mini.Addr()})
	if store, err = cache.NewStore(rdb, cache.StoreOptions{}); err != nil {
		panic(err)
	}
	return store, func() { store.Close(); _ = rdb.Close(); mini.Close() }
}
