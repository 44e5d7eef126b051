package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/paidui/paidui/api/server"
	shopapi "github.com/paidui/paidui/api/shop"
	"github.com/paidui/paidui/api/web"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/seckill"
	"github.com/paidui/paidui/tasks/sms"
	"github.com/paidui/paidui/tasks/ticks"
)

// API runs the HTTP API until ctx ends. It migrates the database first; until then its address refuses connections.
func API(ctx context.Context, cfg config.Config) error {
	CollectLess()
	addr, err := reserveHTTP(ctx, cfg)
	if err != nil {
		return err
	}
	defer addr.Close() // for the errors before boot has it; closing it again does nothing
	return boot{
		program:  config.API,
		config:   cfg,
		database: true,
		migrates: true,
		http:     addr,
		assemble: func(ctx context.Context, e *Env) error {
			if err := shop.Migrate(ctx, e.Stores.DB); err != nil {
				return err
			}
			if err := errors.Join(e.openOutbox(), e.openFeatures()); err != nil {
				return err
			}
			if err := e.addAPI(); err != nil {
				return err
			}
			e.addCaches()
			e.addOutbox()
			return nil
		},
	}.run(ctx)
}

// addAPI opens the API's address, where connections wait for the moment that is left until the parts run.
func (e *Env) addAPI() error {
	cfg := e.Config
	codes := sms.NewCodes(e.Stores.Cache, e.Client, sms.Limits{
		PerMinute:    cfg.SMSPerMinute,
		PerDay:       cfg.SMSPerDay,
		PerAddress:   cfg.SMSPerAddress,
		PerMinuteAll: cfg.SMSPerMinuteAll,
		Location:     cfg.Location(),
	})
	if err := e.Registry.Register(codes); err != nil {
		return fmt.Errorf("register the metrics of codes: %w", err)
	}
	limits, err := e.connectionLimits()
	if err != nil {
		return err
	}
	records, err := history.NewStore(e.Stores.DB, e.Client)
	if err != nil {
		return err
	}
	application, err := shopapi.New(shopapi.Options{
		Codes:          codes,
		Sales:          seckill.NewSales(e.Stores.DB, e.Stores.Broker.Redis(), e.Client),
		Banners:        e.features.Banners,
		Profiles:       e.features.Profiles,
		Articles:       e.features.Articles,
		Counters:       e.features.Counters,
		Followings:     e.features.Followings,
		JWTSecret:      cfg.JWTSecret.Reveal(),
		JWTPrevious:    cfg.JWTSecretPrevious.Reveal(),
		JWTLifetime:    cfg.JWTLifetime,
		Mailbox:        e.mailbox(),
		MailboxPublic:  cfg.OutboxPublic,
		WritesPerUser:  cfg.WritesPerUser,
		SeckillPerUser: cfg.SeckillPerUser,
		Logger:         e.Logger,
	})
	if err != nil {
		return err
	}
	application.Web = web.Handler()
	s, err := server.New(server.Options{
		Application:        application,
		Tasks:              e.Client,
		Catalog:            e.Catalog,
		Ticks:              ticks.NewStore(e.Stores.Broker.Redis()),
		History:            records,
		OperatorKey:        cfg.OperatorKey.Reveal(),
		Leaving:            Leaving,
		Draining:           Draining,
		Language:           cfg.Language,
		RequestsPerAddress: cfg.RequestsPerAddress,
		Waits:              waitLimits(limits),
		CORSOrigins:        cfg.CORSOrigins,
		LongestWait:        cfg.HTTPQueueWait,
		TrustedProxies:     []netip.Prefix(cfg.TrustedProxies),
		Logger:             e.Logger,
		Registry:           e.Registry,
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
	return nil
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

// tellOfOutbox says who can read the codes that others log in with. On this machine alone, all may in the local program.
func tellOfOutbox(ctx context.Context, logger *slog.Logger, p config.Program, cfg config.Config, addr net.Addr) {
	tcp, ok := addr.(*net.TCPAddr)
	here := ok && tcp.IP.IsLoopback()
	switch {
	case cfg.SMSProvider != config.SMSOutbox:
	case !cfg.OutboxPublic:
		logger.InfoContext(ctx, "login codes are not sent: operators read them at /v1/outbox; PAIDUI_OUTBOX_PUBLIC=true shows"+
			" them to anybody")
	case p != config.Local || !here:
		logger.WarnContext(ctx, "login codes are public: whoever reaches this address reads them at /v1/outbox and logs in as"+
			" anybody; PAIDUI_OUTBOX_PUBLIC=true is for development", "addr", addr.String())
	}
}
