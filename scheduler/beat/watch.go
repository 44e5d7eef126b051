package beat

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/paidui/paidui/tasks/schedule"
)

// watcher reads the file of schedules again when it has changed. It is told by the operating system of changes in the
// file's folder (editors replace the file, and a Kubernetes ConfigMap swaps a link beside it). By itself it looks twice a
// second whether the file, behind all links, has another size, time or place, and reads it now and then, for file systems
// that tell nothing at all. What counts as a change is the file's content.
type watcher struct {
	opt       Options
	metrics   *metrics
	logger    *slog.Logger
	quietFor  time.Duration // a change is read when the folder has been quiet for so long
	statEvery time.Duration // between stats of the file
	readEvery time.Duration // between readings
	file      os.FileInfo   // at the last stat; nil when there was none
	inForce   *Schedule     // the last
	content   string        // the last content, or what was wrong with reading it

	mu  sync.Mutex
	err error // of the last reading
}

func newWatcher(opt Options, m *metrics, first *Schedule) *watcher {
	m.reload.Set(1)
	return &watcher{
		opt: opt, metrics: m, logger: opt.Logger, inForce: first,
		quietFor: 100 * time.Millisecond, statEvery: 500 * time.Millisecond, readEvery: 30 * time.Second,
	}
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
	events, stop := w.subscribe()
	defer stop()
	read := time.NewTicker(w.readEvery)
	defer read.Stop()
	stat := time.NewTicker(w.statEvery)
	defer stat.Stop()
	w.fileChanged()
	quiet := time.NewTimer(0) // the first reload is for a change between Load and now
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			quiet.Reset(w.quietFor)
			continue
		case <-stat.C:
			if w.fileChanged() {
				quiet.Reset(w.quietFor)
			}
			continue
		case <-quiet.C:
		case <-read.C:
		}
		changed := w.reload()
		if changed == nil {
			continue
		}
		select {
		case changes <- changed:
		case <-ctx.Done():
			return
		}
	}
}

// fileChanged reports whether the file has another size, time or inode than at the call before.
func (w *watcher) fileChanged() bool {
	before := w.file
	now, err := os.Stat(w.opt.Path)
	if err != nil {
		w.file = nil
		return before != nil
	}
	w.file = now
	return before == nil || !os.SameFile(before, now) || before.Size() != now.Size() || !before.ModTime().Equal(now.ModTime())
}

// subscribe asks for the folder's events. Without them polling remains.
func (w *watcher) subscribe() (<-chan fsnotify.Event, func()) {
	folder := filepath.Dir(w.opt.Path)
	notify, err := fsnotify.NewWatcher()
	if err == nil {
		if err = notify.Add(folder); err != nil {
			err = errors.Join(err, notify.Close())
		}
	}
	if err != nil {
		w.logger.Warn("cannot watch the folder of the schedules: changes are seen late",
			"error", err, "path", folder, "every", w.readEvery)
		return nil, func() {}
	}
	var draining sync.WaitGroup
	draining.Go(func() {
		for err := range notify.Errors {
			w.logger.Warn("watching the folder of the schedules", "error", err, "path", folder)
		}
	})
	return notify.Events, func() {
		if err := notify.Close(); err != nil {
			w.logger.Warn("stop watching the folder of the schedules", "error", err, "path", folder)
		}
		draining.Wait()
	}
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
