package shop_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/catalog"
)

// BenchmarkReads is what the API adds to net/http's part of an answer from the process's own memory.
func BenchmarkReads(b *testing.B) {
	s := assembleEmbedded(b, func(o *options) {
		o.Logger = testenv.Quiet()
		store, err := cache.NewStore(o.Cache, cache.StoreOptions{Near: 10})
		require.NoError(b, err)
		b.Cleanup(store.Close)
		o.Features = catalog.NewFeatures(catalog.FeatureOptions{
			DB: o.DB, Store: store, Client: o.Tasks, Banners: banners.Options{BackendURL: backendURL},
		})
	})
	require.NoError(b, s.db.Create(&shop.User{Mobile: mobile, Name: "a"}).Error)
	handler := s.api.Handler()
	for _, path := range []string{"/v1/banners", "/v1/users/1"} {
		b.Run(path, func(b *testing.B) {
			req, err := http.NewRequest(http.MethodGet, path, nil)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				w := discard{header: make(http.Header)}
				handler.ServeHTTP(&w, req)
				if w.status != http.StatusOK {
					b.Fatal(w.status)
				}
			}
		})
	}
}

// discard is a ResponseWriter whose client reads nothing.
type discard struct {
	header http.Header
	status int
}

func (w *discard) Header() http.Header         { return w.header }
func (w *discard) WriteHeader(status int)      { w.status = status }
func (w *discard) Write(p []byte) (int, error) { return len(p), nil }
