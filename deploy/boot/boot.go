package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models/keyring"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/bulk"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/outbox"
)

// boot is what a program is started from.
type boot struct {
	app      App
	program  config.Program
	config   config.Config
	database bool           // whether it uses one
	migrates bool           // makes the database where the server lacks it
	http     *Reservation   // of the API's address; nil in a program without one
	embedded *embeddedRedis // not started in a program that has servers; never nil
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

	level          *slog.LevelVar // of Logger
	app            App
	program        config.Program
	http           *Reservation   // nil in a program without an API
	tls            *Certificate   // of the API's address; nil for plain HTTP
	embedded       *embeddedRedis // never nil
	operators      *server.OperatorKeys
	outbox         *outbox.Outbox  // nil in a program without a database
	history        *history.Writer // nil without a database, or with PAIDUI_HISTORY=false
	records        *history.Store  // nil without a database
	bulk           *bulk.Store     // nil without a database
	group          *Group
	checks         map[string]func(context.Context) error
	notes          map[string]func(context.Context) []string
	parts          []ownPart      // the application's
	closers        []func() error // the application's
	ownConnections int            // those of the application's stores
}

const (
	stopMargin = 5 * time.Second // what a part may take beyond the drain timeout to stop
	adminDrain = time.Second     // how long a scrape that has begun may take to finish
)

// run boots a program: it serves its admin address at once, opens the stores it needs, assembles its parts, and runs them
// until ctx ends or one fails. Parts stop in the order in which assemble adds them, the admin server last, and the
// stores close after all. Nothing is left open on any error, the reserved address included.
func (b boot) run(ctx context.Context) (err error) {
	cfg, name := b.config, b.app.programName(b.program)
	if err := errors.Join(b.app.check(), b.app.checkDatabase(cfg)); err != nil {
		return err
	}
	logger, level, err := newLogger(name, cfg)
	if err != nil {
		return err
	}
	ln, err := Listen(ctx, "PAIDUI_ADMIN_ADDR", cfg.AdminAddr)
	if err != nil {
		return err
	}
	admin := AdminOptions{
		Name:     name,
		Registry: NewRegistry(name),
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
		level:    level,
		app:      b.app,
		program:  b.program,
		http:     b.http,
		embedded: b.embedded,
		group:    NewGroup(logger, cfg.ShutdownDelay+cfg.DrainTimeout+stopMargin),
	}
	if b.http != nil {
		defer func() { err = errors.Join(err, b.http.Close()) }()
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
	if err := env.openOperators(); err != nil {
		return err
	}
	if env.Catalog, err = b.app.catalog(cfg.DatabaseURL != ""); err != nil {
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
	if b.database && env.Stores.DB == nil {
		logger.InfoContext(ctx, "there is no database: no history is kept, and there are no durable tasks", "setting", databaseSetting)
	}
	env.checks, env.notes = env.Stores.checks(), env.Stores.notes()
	if err := env.openHistory(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.closeHistory(ctx)) }()
	env.Client = tasks.NewClient(env.Stores.Broker, tasks.ClientOptions{
		Routes: routes(cfg), History: env.recorder(), Keys: keys, MaxLength: cfg.QueueMaxLength,
	})
	if env.Stores.DB != nil {
		if env.records, err = history.NewStore(env.Stores.DB, env.Client); err != nil {
			return err
		}
		env.bulk = bulk.New(env.Stores.DB, env.Client, env.records, logger)
	}
	defer func() { err = errors.Join(err, env.closeOwn()) }()
	if err := b.assemble(ctx, env); err != nil {
		return err
	}
	admin.Checks, admin.Notes, admin.Stopping, admin.OperatorKeys = env.checks, env.notes, env.group.Stopping(), env.operators
	adminFront.swapHandler(Admin(admin))
	env.group.Add("admin", adminFront.run)
	return env.group.Run(ctx)
}

// stores are those that the program uses.
func (b boot) stores(logger *slog.Logger) storeOptions {
	o := storeOptions{
		brokerURL:      b.config.BrokerURL.Reveal(),
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

// deps are what the application's parts get.
func (e *Env) deps() Deps {
	return Deps{
		Program:  e.program,
		Config:   e.Config,
		DB:       e.Stores.DB,
		Redis:    e.Stores.Broker.Redis(),
		Broker:   e.Stores.Broker,
		Client:   e.Client,
		Catalog:  e.Catalog,
		History:  e.records,
		Bulk:     e.bulk,
		Logger:   e.Logger,
		Registry: e.Registry,
	}
}

// open makes what the application has of its own.
func (e *Env) open(ctx context.Context) error {
	if e.app.Open == nil {
		return nil
	}
	h := &Host{Deps: e.deps(), env: e}
	if e.http != nil {
		h.HTTPAddr, h.URL = e.http.Addr(), scheme(e.Config)+"://"+reachable(e.http.Addr())
	}
	return e.app.Open(ctx, h)
}

// addShared adds the parts that stop after those which use them: the application's, and the outbox's relay.
func (e *Env) addShared() {
	for _, p := range e.parts {
		e.group.Add(p.name, p.run)
	}
	if e.outbox != nil {
		e.addOutbox()
	}
}

// closeOwn ends what the application has opened.
func (e *Env) closeOwn() error {
	var errs []error
	for _, end := range slices.Backward(e.closers) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// migrate brings the tables up to date, where there is a database, and opens its outbox.
func (e *Env) migrate(ctx context.Context) error {
	if e.Stores.DB == nil {
		return nil
	}
	if err := e.app.Migrate(ctx, e.Stores.DB); err != nil {
		return err
	}
	return e.openOutbox()
}

func newLogger(program string, cfg config.Config) (*slog.Logger, *slog.LevelVar, error) {
	logger, level, err := newLeveledLogger(os.Stderr, cfg.LogFormat, cfg.LogLevel)
	if err != nil {
		return nil, nil, err
	}
	return logger.With("program", program), level, nil
}

// reserveHTTP takes the HTTP address of the API, on which nothing is served before the stores answer.
func reserveHTTP(ctx context.Context, cfg config.Config) (*Reservation, error) {
	return Reserve(ctx, "PAIDUI_HTTP_ADDR", cfg.HTTPAddr)
}
