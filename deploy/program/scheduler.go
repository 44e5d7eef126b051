package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/paidui/paidui/deploy"
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
	path, content, err := schedules(e.Config.Schedules)
	if err != nil {
		return fmt.Errorf("PAIDUI_SCHEDULES: %w", err)
	}
	if path == "" {
		e.Logger.Info("the shipped schedules are in force: there is no " + defaultSchedules + " here, and PAIDUI_SCHEDULES names no file")
	}
	b, err := beat.New(beat.Options{
		Path:       path,
		Content:    content,
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

// defaultSchedules is where the file of schedules is sought when the configuration names none.
const defaultSchedules = "deploy/schedules.yaml"

// schedules is the file to read, or without one the content of the shipped file. A file that is named has to exist.
func schedules(named string) (path string, content []byte, err error) {
	if named != "" {
		return named, nil, nil
	}
	_, err = os.Stat(defaultSchedules)
	if errors.Is(err, fs.ErrNotExist) {
		return "", deploy.Schedules(), nil
	}
	return defaultSchedules, nil, err
}
