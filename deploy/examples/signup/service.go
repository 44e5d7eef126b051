package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/worker/pool"
)

// adminKey is what the service's own administrators send. A real service asks its session.
const adminKey = "only-an-example"

// service is all that runs.
type service struct {
	db     *gorm.DB
	outbox *outbox.Outbox
	writer *history.Writer
	worker *pool.Pool
	tasks  *server.Server
	close  []func() error // last first
}

// open opens the stores and makes the parts. An empty redisURL is a Redis within the process.
func open(ctx context.Context, redisURL, databaseURL string) (s *service, err error) {
	s = &service{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.end())
		}
	}()
	if redisURL == "" {
		redis, err := embedded.Start(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		s.close = append(s.close, func() error { redis.Close(); return nil })
		redisURL = redis.URL(0)
	}
	b, err := broker.Open(ctx, redisURL, broker.Options{})
	if err != nil {
		return s, err
	}
	s.close = append(s.close, b.Close)
	if s.db, err = models.Open(ctx, databaseURL, models.Options{}); err != nil {
		return s, err
	}
	s.close = append(s.close, func() error { return models.Close(s.db) })
	// The service's own tables, made in its own way, and Paidui's beside them.
	if err := errors.Join(s.db.AutoMigrate(&User{}), models.Migrate(ctx, s.db)); err != nil {
		return s, err
	}

	if s.writer, err = history.NewWriter(s.db, history.Options{}); err != nil {
		return s, err
	}
	client := tasks.NewClient(b, tasks.ClientOptions{History: s.writer})
	if s.outbox, err = outbox.New(s.db, client, outbox.Options{}); err != nil {
		return s, err
	}
	if err := s.db.Use(s.outbox); err != nil {
		return s, err
	}
	mux := tasks.NewMux(tasks.MuxOptions{Client: client, History: s.writer, StoreAway: models.IsAway})
	tasks.Handle(mux, Welcome, s.welcome)
	s.worker, err = pool.New(b, mux, pool.Config{Queues: map[string]int{"default": 1}, Concurrency: 8, Drain: 10 * time.Second})
	if err != nil {
		return s, err
	}
	catalog, err := tasks.NewCatalog(Welcome)
	if err != nil {
		return s, err
	}
	records, err := history.NewStore(s.db, client)
	if err != nil {
		return s, err
	}
	s.tasks, err = server.New(server.Options{
		Tasks: client, Catalog: catalog, History: records, Language: "en",
		Application: server.Application{Identify: identify},
	})
	return s, err
}

// identify says who sends a request to the task API: the service's own authentication.
func identify(r *http.Request) (server.Identity, error) {
	token, given := server.Bearer(r)
	switch {
	case !given:
		return server.Identity{}, nil
	case token != adminKey:
		return server.Identity{}, server.Unauthorized(server.Text{EN: "this is not an administrator's key"}, nil)
	}
	return server.Identity{Operator: true}, nil
}

// run serves until ctx ends, and then ends one part after the other.
func (s *service) run(ctx context.Context, ln net.Listener) (err error) {
	defer func() { err = errors.Join(err, s.end()) }()
	web := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return s.worker.Run(ctx) })
	parts.Go(func() error { return s.outbox.Run(ctx) })
	parts.Go(func() error {
		if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	parts.Go(func() error {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return web.Shutdown(drain)
	})
	return parts.Wait()
}

// end writes what the history has not written, and closes the stores.
func (s *service) end() (err error) {
	if s.writer != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = s.writer.Close(ctx)
	}
	for i := len(s.close) - 1; i >= 0; i-- {
		err = errors.Join(err, s.close[i]())
	}
	return err
}
