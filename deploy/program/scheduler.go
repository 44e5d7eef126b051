package program

import (
	"context"
	"fmt"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/scheduler/beat"
)

// Scheduler runs a scheduler until ctx ends. It needs the broker only.
func Scheduler(ctx context.Context, cfg config.Config) error {
	cfg.CacheURL = ""
	return boot{
		program:  config.Scheduler,
		config:   cfg,
		assemble: func(_ context.Context, e *Env) error { return e.addScheduler() },
	}.run(ctx)
}

func (e *Env) addScheduler() error {
	b, err := beat.New(beat.Options{
		Path:       e.Config.Schedules,
		Catalog:    e.Catalog,
		Client:     e.Client,
		Redis:      e.Stores.Broker.Redis(),
		Location:   e.Config.Location(),
		Logger:     e.Logger,
		Registerer: e.Registry,
	})
	if err != nil {
		return fmt.Errorf("PAIDUI_SCHEDULES: %w", err)
	}
	e.checks["scheduler"] = b.Ready
	e.group.Add("scheduler", b.Run)
	return nil
}
