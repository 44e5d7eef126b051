package beat

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"

	"github.com/paidui/paidui/models/filewatch"
	"github.com/paidui/paidui/tasks/schedule"
)

// watcher reads the file of schedules again when it has changed. What counts as a change is the file's content.
type watcher struct {
	opt     Options
	metrics *metrics
	logger  *slog.Logger
	inForce *Schedule // the last
	content string    // the last content, or what was wrong with reading it

	mu  sync.Mutex
	err error // of the last reading
}

func newWatcher(opt Options, m *metrics, first *Schedule) *watcher {
	m.reload.Set(1)
	return &watcher{opt: opt, metrics: m, logger: opt.Logger, inForce: first}
}

// current is what was wrong with the file when it was last read.
func (w *watcher) current() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// run sends every schedule that differs from the one before, until ctx ends.
func (w *watcher) run(ctx context.Context, changes chan<- *Schedule) {
	if w.opt.Path == "" {
		return // nothing changes
	}
	filewatch.New(w.opt.Path, "schedules", w.logger).Run(ctx, func() {
		changed := w.reload()
		if changed == nil {
			return
		}
		select {
		case changes <- changed:
		case <-ctx.Done():
		}
	})
}

// reload reads the file and returns its schedule when that is right and new. A wrong file changes nothing.
func (w *watcher) reload() *Schedule {
	content, err := schedule.ReadFile(w.opt.Path)
	seen := fmt.Sprintf("%x", sha256.Sum256(content))
	if err != nil {
		seen = err.Error()
	}
	if seen == w.content {
		return nil
	}
	w.content = seen
	var changed *Schedule
	if err == nil {
		changed, err = parseFor(w.opt, content)
	}
	w.metrics.reload.Set(flag(err == nil))
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
	if err != nil {
		for _, problem := range schedule.Problems(err) {
			w.logger.Error("the file of schedules is wrong: the last good one stays in force", "path", w.opt.Path, "error", problem)
		}
		return nil
	}
	if changed.Hash() == w.inForce.Hash() {
		return nil
	}
	w.logger.Info("the file of schedules has changed", "path", w.opt.Path, "schedules", changed.Len())
	w.inForce = changed
	return changed
}
