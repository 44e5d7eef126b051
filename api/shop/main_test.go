package shop_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/api/server/servertest"
	shopapi "github.com/paidui/paidui/api/shop"
	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/bulk"
	"github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/seckill"
	"github.com/paidui/paidui/tasks/sms"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	jwtSecret   = "a-secret-of-the-tests-32-bytes-long"
	operatorKey = "operator-key-of-the-tests"
	backendURL  = "https://shop.example.com"
)

type (
	answer = servertest.Answer
	with   = servertest.With
)

var (
	header    = servertest.Header
	bearer    = servertest.Bearer
	inEnglish = with(servertest.InEnglish)
)

func asOperator(r *http.Request) { bearer(operatorKey)(r) }

// system is the API on servers of its own, as a client and as the test see it.
type system struct {
	*servertest.Client
	api      *server.Server
	routes   []server.Route // the shop's
	db       *gorm.DB
	cache    redis.UniversalClient
	broker   *broker.Broker
	tasks    *tasks.Client
	features catalog.Features
	redis    *testenv.RedisServer // nil in an embedded system
	log      *testenv.LogBuffer
	registry *prometheus.Registry
}

// options are the API's and the shop's, with the stores that they stand on.
type options struct {
	server.Options
	Shop     shopapi.Options
	Features catalog.Features
	Broker   *broker.Broker
	DB       *gorm.DB
	Cache    redis.UniversalClient // of the caches
}

type change func(*options)

// start brings the API up on a private Redis and MariaDB.
func start(t *testing.T, changes ...change) *system {
	r := testenv.Redis(t)
	s := assemble(t, testenv.MySQL(t), r.URL(1), r.URL(2), changes)
	s.redis = r
	return s
}

// startEmbedded brings the API up on the embedded Redis and SQLite.
func startEmbedded(t *testing.T) *system { return assembleEmbedded(t) }

func assembleEmbedded(t testing.TB, changes ...change) *system {
	t.Helper()
	e, err := embedded.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return assemble(t, "sqlite://"+t.TempDir()+"/paidui.db", e.URL(1), e.URL(2), changes)
}

// features makes what stands on the caches over rdb, as one process has it.
func features(t testing.TB, db *gorm.DB, client *tasks.Client, rdb redis.UniversalClient, strategy cache.Strategy, logger *slog.Logger) catalog.Features {
	t.Helper()
	store, err := cache.NewStore(rdb, cache.StoreOptions{Announcer: refresh.Announcer{}, Timeout: time.Minute, Logger: logger})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	taskstest.Run(t, store.Run)
	return catalog.NewFeatures(catalog.FeatureOptions{
		DB: db, Store: store, Client: client, Logger: logger,
		Banners: banners.Options{BackendURL: backendURL, Strategy: strategy},
	})
}

func assemble(t testing.TB, dbURL, brokerURL, cacheURL string, changes []change) *system {
	t.Helper()
	s := &system{log: &testenv.LogBuffer{}, registry: prometheus.NewRegistry()}
	var err error
	s.db, err = models.Open(t.Context(), dbURL, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() {
		pool, err := s.db.DB()
		require.NoError(t, err)
		require.NoError(t, pool.Close())
	})
	require.NoError(t, shop.Migrate(t.Context(), s.db))
	s.cache = taskstest.Connect(t, cacheURL)
	s.broker = taskstest.Broker(t, brokerURL)
	s.tasks = tasks.NewClient(s.broker)
	known, err := catalog.New()
	require.NoError(t, err)
	logger := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ob, err := outbox.New(s.db, s.tasks, outbox.Options{Logger: logger})
	require.NoError(t, err)
	require.NoError(t, s.db.Use(ob))
	taskstest.Run(t, ob.Run)
	s.features = features(t, s.db, s.tasks, s.cache, cache.DeleteOnWrite, logger)
	records, err := history.NewStore(s.db, s.tasks)
	require.NoError(t, err)
	opt := options{
		DB: s.db, Cache: s.cache, Broker: s.broker, Features: s.features,
		Shop: shopapi.Options{
			Codes:         sms.NewCodes(s.cache, s.tasks, sms.Limits{}),
			Sales:         seckill.NewSales(s.db, s.broker.Redis(), s.tasks),
			JWTSecret:     jwtSecret,
			Mailbox:       sms.NewMailbox(s.db),
			MailboxPublic: true,
		},
		Options: server.Options{
			Tasks:       s.tasks,
			Catalog:     known,
			Ticks:       ticks.NewStore(s.broker.Redis()),
			History:     records,
			Bulk:        bulk.New(s.db, s.tasks, records, logger),
			Schedules:   schedule.NewTable(s.db),
			OperatorKey: operatorKey,
			Logger:      logger,
			Registry:    s.registry,
		},
	}
	for _, c := range changes {
		c(&opt)
	}
	own := &opt.Shop
	own.Banners, own.Profiles, own.Articles = opt.Features.Banners, opt.Features.Profiles, opt.Features.Articles
	own.Counters, own.Followings, own.Logger = opt.Features.Counters, opt.Features.Followings, opt.Logger
	application, err := shopapi.New(*own)
	require.NoError(t, err)
	application.Web = opt.Web
	opt.Application, s.routes = application, application.Routes
	s.api, err = server.New(opt.Options)
	require.NoError(t, err)
	web := httptest.NewServer(s.api.Handler())
	t.Cleanup(web.Close)
	s.Client = servertest.New(t, web.URL, s.api.OpenAPI())
	return s
}

// work runs a worker on all queues until the test ends.
func (s *system) work(t *testing.T) {
	t.Helper()
	mux := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.NewJSONHandler(s.log, nil)), Client: s.tasks, StoreAway: models.IsAway})
	catalog.Bind(mux, catalog.Deps{
		DB: s.db, Cache: s.cache, Broker: s.broker.Redis(), Client: s.tasks,
		Sender: sms.NewMailbox(s.db), Features: s.features,
	})
	taskstest.Serve(t, s.broker, mux, "sms", "seckill", "default", "cache", "low")
}
