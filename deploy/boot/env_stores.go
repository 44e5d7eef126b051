package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker"
)

// storeOptions says where the stores are. A URL that is "" leaves its store nil.
type storeOptions struct {
	brokerURL, databaseURL string
	noPipelining, noWakeUp bool          // of the broker
	createDatabase         bool          // make the MySQL database if the server lacks it
	wait                   time.Duration // for each store, at most
	logger                 *slog.Logger
}

// Stores are the open connections to what all programs keep their state in.
type Stores struct {
	Broker *broker.Broker
	DB     *gorm.DB
}

// openStores connects to each store in turn. A store that does not answer is tried again until the wait has passed; a
// setting that is wrong ends the attempt at once. On an error nothing stays open.
func openStores(ctx context.Context, o storeOptions) (*Stores, error) {
	s := &Stores{}
	steps := []struct {
		name, url string
		try       func(context.Context) error
	}{
		{"database", o.databaseURL, func(ctx context.Context) error { return s.tryDatabase(ctx, o) }},
		{"broker", o.brokerURL, func(ctx context.Context) (err error) {
			s.Broker, err = broker.Open(ctx, o.brokerURL, broker.Options{
				Logger:       o.logger,
				NoPipelining: o.noPipelining,
				NoWakeUp:     o.noWakeUp,
			})
			return err
		}},
	}
	for _, step := range steps {
		if step.url == "" {
			continue
		}
		try := func(ctx context.Context) error { return markFatal(step.try(ctx)) }
		if err := WaitFor(ctx, o.logger, step.name, o.wait, try); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if s.Broker != nil {
		s.Broker.Rights().Lacks(ctx) // which has it logged what the server refuses
	}
	return s, nil
}

func (s *Stores) tryDatabase(ctx context.Context, o storeOptions) (err error) {
	s.DB, err = models.Open(ctx, o.databaseURL, models.Options{Logger: o.logger, CreateDatabase: o.createDatabase})
	return err
}

// openDatabase is openStores for the database alone, which close then closes, too.
func (s *Stores) openDatabase(ctx context.Context, o storeOptions) error {
	try := func(ctx context.Context) error { return markFatal(s.tryDatabase(ctx, o)) }
	return WaitFor(ctx, o.logger, "database", o.wait, try)
}

// markFatal tells errors in the configuration, which waiting does not mend, from servers that are not up yet.
func markFatal(err error) error {
	var urlErr *redisx.URLError
	if errors.As(err, &urlErr) || errors.Is(err, models.ErrConfig) {
		return Fatal(err)
	}
	return err
}

// close ends all connections.
func (s *Stores) close() error {
	var errs []error
	if s.Broker != nil {
		errs = append(errs, HangUp("broker", s.Broker))
	}
	if s.DB != nil {
		errs = append(errs, models.Close(s.DB))
	}
	return errors.Join(errs...)
}

// HangUp closes the connections to a server. That it has gone, and can't be told of the end, as TLS would, is no error.
func HangUp(name string, connections io.Closer) error {
	err := connections.Close()
	var gone *net.OpError
	if err == nil || errors.As(err, &gone) {
		return nil
	}
	return fmt.Errorf("close %s: %w", name, err)
}

// checks are the readiness checks of the stores that are open.
func (s *Stores) checks() map[string]func(context.Context) error {
	checks := make(map[string]func(context.Context) error)
	if s.DB != nil {
		checks["database"] = func(ctx context.Context) error { return models.Ping(ctx, s.DB) }
	}
	if s.Broker != nil {
		checks["broker"], checks["broker rights"] = s.Broker.Ping, s.Broker.Rights().Check
	}
	return checks
}

// notes are what the stores do worse than they could.
func (s *Stores) notes() map[string]func(context.Context) []string {
	notes := make(map[string]func(context.Context) []string)
	if s.Broker != nil {
		notes["broker"] = s.Broker.Rights().Notes
	}
	return notes
}
