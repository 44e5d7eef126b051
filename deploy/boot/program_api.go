package boot

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/tasks/audit"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

// API runs the HTTP API until ctx ends. It migrates the database first; until then its address refuses connections.
func API(ctx context.Context, app App, cfg config.Config) error {
	CollectLess()
	addr, err := reserveHTTP(ctx, cfg)
	if err != nil {
		return err
	}
	defer addr.Close() // for the errors before boot has it; closing it again does nothing
	return boot{
		app:      app,
		program:  config.API,
		config:   cfg,
		database: true,
		migrates: true,
		http:     addr,
		embedded: &embeddedRedis{},
		assemble: func(ctx context.Context, e *Env) error {
			if err := e.open(ctx); err != nil {
				return err
			}
			if err := e.migrate(ctx); err != nil {
				return err
			}
			if err := e.addAPI(); err != nil {
				return err
			}
			e.addShared()
			return nil
		},
	}.run(ctx)
}

// addAPI opens the API's address, where connections wait for the moment that is left until the parts run.
func (e *Env) addAPI() error {
	cfg := e.Config
	limits, err := e.connectionLimits()
	if err != nil {
		return err
	}
	deps := e.deps()
	var application server.Application
	if e.app.API != nil {
		if application, err = e.app.API(deps); err != nil {
			return err
		}
	}
	if add := e.app.Routes; add != nil {
		application.Echo = func(router *echo.Echo) { add(router, deps) }
	}
	acts := audit.New(e.Stores.DB, e.Logger)
	s, err := server.New(server.Options{
		Application:  application,
		Tasks:        e.Client,
		Catalog:      e.Catalog,
		Ticks:        ticks.NewStore(e.Stores.Broker.Redis()),
		Schedules:    e.scheduleTable(),
		Location:     cfg.Location(),
		History:      e.records,
		Bulk:         e.bulk,
		OperatorKeys: e.operators,
		Leaving:      Leaving,

		ObserversSeeArguments: cfg.ObserversSeeArguments,
		Audit:                 acts,
		AuditWithoutEnqueues:  !cfg.AuditEnqueues,
		Draining:              Draining,
		Language:              cfg.Language,
		RequestsPerAddress:    cfg.RequestsPerAddress,
		Waits:                 waitLimits(limits),
		CORSOrigins:           cfg.CORSOrigins,
		LongestWait:           cfg.HTTPQueueWait,
		TrustedProxies:        []netip.Prefix(cfg.TrustedProxies),
		Logger:                e.Logger,
		Registry:              e.Registry,
	})
	if err != nil {
		return err
	}
	ln, err := e.http.Listen()
	if err != nil {
		return err
	}
	e.group.Add("http", func(ctx context.Context) error {
		return ServeHTTP(ctx, ln, s.Handler(), ServeOptions{
			Logger:      e.Logger.With("server", "http"),
			Delay:       cfg.ShutdownDelay,
			Drain:       cfg.DrainTimeout,
			Connections: limits,
			Registry:    e.Registry,
			Layers:      e.layers,
		})
	})
	e.group.Add("audit", acts.Run) // stops after what fills it
	return nil
}

// scheduleTable is the table of schedules, nil without a database.
func (e *Env) scheduleTable() *schedule.Table {
	if e.Stores.DB == nil {
		return nil
	}
	return schedule.NewTable(e.Stores.DB)
}

// openCertificate reads the certificate of the API's address, if it is to have one.
func (e *Env) openCertificate() (err error) {
	if e.http == nil || e.Config.TLSCertFile == "" {
		return nil
	}
	if e.tls, err = NewCertificate(e.Config.TLSCertFile, e.Config.TLSKeyFile, e.Logger); err != nil {
		return err
	}
	if err := e.Registry.Register(e.tls); err != nil {
		return fmt.Errorf("register the metric of the certificate: %w", err)
	}
	return nil
}

// layers are those of the API's connections below HTTP.
func (e *Env) layers(ln net.Listener) net.Listener {
	if e.tls != nil {
		ln = e.tls.Listen(ln)
	}
	return server.Envelopes(ln, e.Config.Language)
}

// scheme is how clients call the API.
func scheme(cfg config.Config) string {
	if cfg.TLSCertFile != "" {
		return "https"
	}
	return "http"
}
