package boot

import (
	"context"
	"fmt"
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
)

// historyDrain is how long records may take to be written when everything else of the program has ended.
const historyDrain = 5 * time.Second

// openHistory starts the program's one writer of history, if it is to have one.
func (e *Env) openHistory() (err error) {
	if e.Stores.DB == nil || !e.Config.History {
		return nil
	}
	e.history, err = history.NewWriter(e.Stores.DB, history.Options{Logger: e.Logger, Registry: e.Registry})
	return err
}

// addSettler has the history settled by this program too, if it writes one.
func (e *Env) addSettler() error {
	if e.history == nil {
		return nil
	}
	s := e.records
	settler, err := history.NewSettler(s, history.SettlerOptions{Logger: e.Logger, Registry: e.Registry})
	if err != nil {
		return err
	}
	if err := e.Registry.Register(history.NewBacklog(s, e.Logger)); err != nil {
		return fmt.Errorf("register history metrics: %w", err)
	}
	e.group.Add("history", settler.Run)
	return nil
}

// closeHistory writes what is left. Nothing records any more: the workers are drained, the API too.
func (e *Env) closeHistory(ctx context.Context) error {
	if e.history == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), historyDrain)
	defer cancel()
	return e.history.Close(ctx)
}

// recorder is the writer as those who record know it, nil without one.
func (e *Env) recorder() tasks.Recorder {
	if e.history == nil {
		return nil
	}
	return e.history
}
