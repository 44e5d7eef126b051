package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/keyring"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/outbox"
)

// boot is what a program is started from.
type boot struct {
	program  config.Program
	config   config.Config
	database bool         // whether it uses one
	migrates bool         // makes the database where the server lacks it
	http     *Reservation // of the API's address; nil in a program without one
	assemble func(context.Context, *Env) error
}

// Env is what the parts of one program share.
type Env struct {
	Config   config.Config
	Logger   *slog.Logger
	Registry *prometheus.Registry
	Stores   *Stores
	Catalog  *tasks.Catalog
	Client   *tasks.Client
	Caches   *cache.Store // over Stores.Cache; nil in a program without one

	http     *Reservation     // nil in a program without an API
	tls      *Certificate     // of the API's address; nil for plain HTTP
	embedded bool             // whether a Redis is in this process
	outbox   *outbox.Outbox   // nil in a program without a database
	history  *history.Writer  // nil without a database, or with PAIDUI_HISTORY=false
	features catalog.Features // zero in a program without a database
	group    *Group
	checks   map[string]func(context.Context) error
}

const (
	stopMargin = 5 * time.Second // what a part may take beyond the drain timeout to stop
	adminDrain = time.Second     // how long a scrape that has begun may take to finish
)

// run boots a program: it serves its admin address at once, opens the stores it needs, assembles its parts, and runs them
// until ctx ends or one fails. Parts stop in the order in which assemble adds them, the admin server last, and the
// stores close after all. Nothing is left open on any error, the reserved address included.
func (b boot) run(ctx context.Context) (err error) {
	cfg := b.config
	logger, err := newLogger(b.program, cfg)
	if err != nil {
		return err
	}
	ln, err := Listen(ctx, "PAIDUI_ADMIN_ADDR", cfg.AdminAddr)
	if err != nil {
		return err
	}
	admin := AdminOptions{
		Name:     string(b.program),
		Registry: NewRegistry(string(b.program)),
		Checks: map[string]func(context.Context) error{
			"start": func(context.Context) error { return errors.New("still starting") },
		},
		Pprof:       cfg.Pprof,
		OperatorKey: cfg.OperatorKey.Reveal(),
	}
	adminFront := openFront(ctx, "admin", ln, Admin(admin), ServeOptions{
		Logger: logger, Drain: adminDrain, Connections: ConnectionLimits{Max: adminConnections},
	})
	defer func() { err = errors.Join(err, adminFront.close(context.Canceled)) }()
	env := &Env{
		Config:   cfg,
		Logger:   logger,
		Registry: admin.Registry,
		group:    NewGroup(logger, cfg.ShutdownDelay+cfg.DrainTimeout+stopMargin),
		http:     b.http,
	}
	if b.http != nil {
		defer func() { err = errors.Join(err, b.http.Close()) }()
		tellOfOutbox(ctx, logger, b.program, cfg, b.http.Addr())
	}
	warnOfSettings(ctx, logger, cfg)
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		logger.WarnContext(ctx, "the admin address can be reached from other machines: whoever reaches it reads metrics and the"+
			" errors of stores; see that only operators do", "addr", ln.Addr().String())
	}
	logger.InfoContext(ctx, "starting", "version", Version(), "config", cfg)

	if err := env.openCertificate(); err != nil {
		return err
	}
	if env.Catalog, err = catalog.New(); err != nil {
		return err
	}
	keys, err := keyring.Parse(cfg.PayloadKeys.Reveal())
	if err != nil {
		return fmt.Errorf("%s: %w", keysSetting, err)
	}
	tellOfKeys(ctx, logger, env.Catalog, keys)
	if env.Stores, err = openStores(ctx, b.stores(logger)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.Stores.close()) }()
	env.checks = env.Stores.checks()
	if err := env.openHistory(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.closeHistory(ctx)) }()
	env.Client = tasks.NewClient(env.Stores.Broker, tasks.ClientOptions{Routes: routes(cfg), History: env.recorder(), Keys: keys})
	if err := env.openCaches(); err != nil {
		return err
	}
	defer env.closeCaches()
	if err := b.assemble(ctx, env); err != nil {
		return err
	}
	admin.Checks, admin.Notes, admin.Stopping = env.checks, env.Stores.notes(), env.group.Stopping()
	adminFront.swapHandler(Admin(admin))
	env.group.Add("admin", adminFront.run)
	return env.group.Run(ctx)
}

// stores are those that the program uses.
func (b boot) stores(logger *slog.Logger) storeOptions {
	o := storeOptions{
		brokerURL:      b.config.BrokerURL.Reveal(),
		cacheURL:       b.config.CacheURL.Reveal(),
		replicaURL:     b.config.CacheReplicaURL.Reveal(),
		noPipelining:   !b.config.BrokerPipelining,
		noWakeUp:       !b.config.BrokerWakeUp,
		createDatabase: b.migrates,
		wait:           b.config.StartupWait,
		logger:         logger,
	}
	if b.database {
		o.databaseURL = b.config.DatabaseURL.Reveal()
	}
	return o
}

func newLogger(p config.Program, cfg config.Config) (*slog.Logger, error) {
	logger, err := NewLogger(os.Stderr, cfg.LogFormat, cfg.LogLevel)
	if err != nil {
		return nil, err
	}
	return logger.With("program", string(p)), nil
}

// reserveHTTP takes the HTTP address of the API, on which nothing is served before the stores answer.
func reserveHTTP(ctx context.Context, cfg config.Config) (*Reservation, error) {
	return Reserve(ctx, "PAIDUI_HTTP_ADDR", cfg.HTTPAddr)
}
