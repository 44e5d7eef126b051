package server_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/api/server/servertest"
	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/audit"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/bulk"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const operatorKey = "operator-key-of-the-tests"

type (
	answer  = servertest.Answer
	with    = servertest.With
	warning = servertest.Warning
)

var (
	header    = servertest.Header
	bearer    = servertest.Bearer
	inEnglish = with(servertest.InEnglish)
)

func asOperator(r *http.Request) { bearer(operatorKey)(r) }

// system is the API with the application of app_test.go, on servers of its own, as a client and as the test see it.
type system struct {
	*servertest.Client
	api      *server.Server
	db       *gorm.DB
	broker   *broker.Broker
	tasks    *tasks.Client
	redis    *testenv.RedisServer // nil in an embedded system
	log      *testenv.LogBuffer
	registry *prometheus.Registry
	bulk     *bulk.Store
}

// options are the API's, with the broker of its tasks.
type options struct {
	server.Options
	Broker *broker.Broker
}

type change func(*options)

// start brings the API up on a private Redis and MariaDB.
func start(t *testing.T, changes ...change) *system {
	r := testenv.Redis(t)
	s := assemble(t, testenv.MySQL(t), r.URL(1), changes)
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
	return assemble(t, "sqlite://"+t.TempDir()+"/paidui.db", e.URL(1), changes)
}

func assemble(t testing.TB, dbURL, brokerURL string, changes []change) *system {
	t.Helper()
	s := &system{log: &testenv.LogBuffer{}, registry: prometheus.NewRegistry()}
	var err error
	s.db, err = models.Open(t.Context(), dbURL, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(s.db)) })
	require.NoError(t, models.Migrate(t.Context(), s.db))
	s.broker = taskstest.Broker(t, brokerURL)
	s.tasks = tasks.NewClient(s.broker)
	logger := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ob, err := outbox.New(s.db, s.tasks, outbox.Options{Logger: logger})
	require.NoError(t, err)
	require.NoError(t, s.db.Use(ob))
	taskstest.Run(t, ob.Run)
	records, err := history.NewStore(s.db, s.tasks)
	require.NoError(t, err)
	acts := audit.New(s.db, logger)
	acts.WaitFor(testenv.Patience)
	taskstest.Run(t, acts.Run)
	s.bulk = bulk.New(s.db, s.tasks, records, logger)
	opt := options{Broker: s.broker, Options: server.Options{
		Application: goodsApp(),
		Tasks:       s.tasks,
		Catalog:     demoCatalog(t),
		Ticks:       ticks.NewStore(s.broker.Redis()),
		Schedules:   schedule.NewTable(s.db),
		History:     records,
		Bulk:        s.bulk,
		Audit:       acts,
		OperatorKey: operatorKey,
		Logger:      logger,
		Registry:    s.registry,
	}}
	for _, c := range changes {
		c(&opt)
	}
	s.api, err = server.New(opt.Options)
	require.NoError(t, err)
	web := httptest.NewServer(s.api.Handler())
	t.Cleanup(web.Close)
	s.Client = servertest.New(t, web.URL, s.api.OpenAPI())
	return s
}

func demoCatalog(t testing.TB) *tasks.Catalog {
	t.Helper()
	known, err := tasks.NewCatalog(demo.Add, demo.Low)
	require.NoError(t, err)
	return known
}

// work runs a worker on all queues until the test ends.
func (s *system) work(t *testing.T) {
	t.Helper()
	mux := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.NewJSONHandler(s.log, nil)), Client: s.tasks, StoreAway: models.IsAway})
	demo.Bind(mux)
	taskstest.Serve(t, s.broker, mux, "default", "low")
}
