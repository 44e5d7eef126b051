package shop_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/catalog"
)

func TestOverloadDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	var usual *testenv.LogBuffer
	var store *cache.Store
	s := assembleEmbedded(t, func(o *options) {
		usual = &testenv.LogBuffer{}
		o.Logger = slog.New(slog.NewJSONHandler(usual, nil))
		var err error
		store, err = cache.NewStore(o.Cache, cache.StoreOptions{Loads: 1})
		require.NoError(t, err)
		t.Cleanup(store.Close)
		o.Features = catalog.NewFeatures(catalog.FeatureOptions{DB: o.DB, Store: store, Client: o.Tasks, Logger: o.Logger})
	})
	held, full := make(chan struct{}), make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		_ = store.Load(t.Context(), func(context.Context) error {
			close(full)
			<-held
			return nil
		})
	})
	<-full
	a := s.Get("/v1/users/1") // waits two seconds for its turn
	close(held)
	load.Wait()
	require.Equal(t, 503, a.Status)
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.Empty(t, usual.String())
}

func TestUnexpectedErrorsDoNotLeak(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	require.NoError(t, s.db.Exec("DROP TABLE goods").Error)
	a := s.Get("/v1/goods", inEnglish)
	require.Equal(t, 500, a.Code)
	require.NotContains(t, string(a.Raw), "goods")
	require.Contains(t, a.Msg, a.Header.Get("X-Request-ID"))
	require.Contains(t, s.log.String(), "no such table")
	require.Contains(t, s.log.String(), a.Header.Get("X-Request-ID"))
}

func TestOutboxIsForDevelopment(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) { o.Shop.Mailbox = nil })
	require.Equal(t, 404, s.Get("/v1/outbox?mobile=13812345678").Code)
}

func TestOnlyOperatorsReadTheOutbox(t *testing.T) {
	t.Parallel()
	const path, mobile = "/v1/outbox?mobile=13812345678", `{"mobile":"13812345678"}`
	s := assembleEmbedded(t, func(o *options) { o.Shop.MailboxPublic = false })
	s.work(t)
	require.Equal(t, 100, s.Post("/v1/sms", mobile).Code)
	require.Equal(t, 401, s.Get(path).Code)
	require.Equal(t, 401, s.Get(path, bearer("a-wrong-key-of-16-bytes")).Code)
	require.Equal(t, 403, s.Get(path, bearer(s.login(t, "13812345679").Token)).Code, "a user")
	require.Equal(t, 100, s.Get(path, asOperator).Code)
}
