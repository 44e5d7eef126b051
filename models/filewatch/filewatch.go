// Package filewatch tells when a file of settings may have changed.
//
// The operating system tells of changes in the file's folder: editors replace a file, and Kubernetes swaps a link beside it.
// By itself a watch looks twice a second whether the file, behind all links, has another size, time or place, and has it read
// now and then, for file systems that tell nothing at all.
package filewatch

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// File is a file that is watched.
type File struct {
	path, what string
	logger     *slog.Logger
	quietFor   time.Duration // a change is told when the folder has been quiet for so long
	statEvery  time.Duration
	readEvery  time.Duration
	last       os.FileInfo // at the last stat; nil when there was none
}

// New is for the file at path; what names it in the log, such as "schedules".
func New(path, what string, logger *slog.Logger) *File {
	return &File{
		path: path, what: what, logger: logger,
		quietFor: 100 * time.Millisecond, statEvery: 500 * time.Millisecond, readEvery: 30 * time.Second,
	}
}

// Run calls read when the file may have changed, also once at the start and every half a minute, until ctx ends: what the file
// says is for read to compare. Its calls come one after the other.
func (f *File) Run(ctx context.Context, read func()) {
	events, stop := f.subscribe()
	defer stop()
	reads := time.NewTicker(f.readEvery)
	defer reads.Stop()
	stats := time.NewTicker(f.statEvery)
	defer stats.Stop()
	f.changed()
	quiet := time.NewTimer(0) // the first reading is for a change since the file was read before
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
			quiet.Reset(f.quietFor)
			continue
		case <-stats.C:
			if f.changed() {
				quiet.Reset(f.quietFor)
			}
			continue
		case <-quiet.C:
		case <-reads.C:
		}
		read()
	}
}

// changed reports whether the file has another size, time or inode than at the call before.
func (f *File) changed() bool {
	before := f.last
	now, err := os.Stat(f.path)
	if err != nil {
		f.last = nil
		return before != nil
	}
	f.last = now
	return before == nil || !os.SameFile(before, now) || before.Size() != now.Size() || !before.ModTime().Equal(now.ModTime())
}

// subscribe asks for the folder's events. Without them stats remain.
func (f *File) subscribe() (<-chan fsnotify.Event, func()) {
	folder := filepath.Dir(f.path)
	notify, err := fsnotify.NewWatcher()
	if err == nil {
		if err = notify.Add(folder); err != nil {
			err = errors.Join(err, notify.Close())
		}
	}
	if err != nil {
		f.logger.Warn("cannot watch the folder of a file: changes are seen a little later", "error", err, "file", f.what, "path", folder, "every", f.statEvery)
		return nil, func() {}
	}
	var draining sync.WaitGroup
	draining.Go(func() {
		for err := range notify.Errors {
			f.logger.Warn("watching the folder of a file", "error", err, "file", f.what, "path", folder)
		}
	})
	return notify.Events, func() {
		if err := notify.Close(); err != nil {
			f.logger.Warn("stop watching the folder of a file", "error", err, "file", f.what, "path", folder)
		}
		draining.Wait()
	}
}
