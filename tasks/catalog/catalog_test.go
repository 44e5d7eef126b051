package catalog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/sms"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestEveryTaskHasItsHandler(t *testing.T) {
	c, err := catalog.New()
	require.NoError(t, err)
	require.NotEmpty(t, c.All())
	m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
	require.Error(t, m.Verify(c), "nothing is bound yet")
	b := taskstest.Embedded(t)
	db, err := models.Open(t.Context(), "sqlite://:memory:", models.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, models.Close(db)) }()
	caches, err := cache.NewStore(b.Redis(), cache.StoreOptions{Timeout: time.Minute, Logger: testenv.Quiet()})
	require.NoError(t, err)
	catalog.Bind(m, catalog.Deps{
		DB:     db,
		Cache:  b.Redis(),
		Broker: b.Redis(),
		Client: tasks.NewClient(b),
		Sender: sms.NewMailbox(db),
		Features: catalog.NewFeatures(catalog.FeatureOptions{
			DB: db, Store: caches,
			Banners: banners.Options{BackendURL: "http://localhost", Count: 3},
		}),
	})
	require.NoError(t, m.Verify(c))
}
