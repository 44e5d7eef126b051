package boot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/paidui/paidui/api/server"
)

const (
	operatorsSetting     = "PAIDUI_OPERATOR_KEYS"
	operatorsFileSetting = "PAIDUI_OPERATOR_KEYS_FILE"
)

// maxOperatorFile is the size of the largest file of keys, in bytes.
const maxOperatorFile = 1 << 20

// openOperators reads the keys of operators and observers, those of the file too, and has the file watched.
func (e *Env) openOperators() error {
	cfg := e.Config
	var fixed []server.Key
	if own := cfg.OperatorKey.Reveal(); own != "" {
		fixed = append(fixed, server.Key{Name: server.StandardOperator, Role: server.RoleOperator, Secret: own})
	}
	if text := cfg.OperatorKeys.Reveal(); text != "" {
		keys, err := server.ParseKeys(text)
		if err != nil {
			return fmt.Errorf("%s: %w", operatorsSetting, err)
		}
		fixed = append(fixed, keys...)
	}
	var err error
	if e.operators, err = server.NewOperatorKeys(fixed...); err != nil {
		return fmt.Errorf("%s beside PAIDUI_OPERATOR_KEY: %w", operatorsSetting, err)
	}
	if cfg.OperatorKeysFile == "" {
		return nil
	}
	file := newOperatorFile(cfg.OperatorKeysFile, e.operators, e.Logger)
	if err := file.load(); err != nil {
		return err
	}
	if info, err := os.Stat(file.path); err == nil && info.Mode().Perm()&0o007 != 0 && runtime.GOOS != "windows" {
		e.Logger.Warn("the file of operators' keys is open to every user of the machine; mode 0400 or 0440 is enough",
			"file", file.path, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
	}
	e.group.Add("operators", file.run)
	return nil
}

// operatorFile reads the file of keys again when it has changed. The operating system tells it of changes in the file's folder
// (editors replace the file, and a Kubernetes Secret swaps a link beside it). It also looks by itself, for file systems that
// tell nothing.
type operatorFile struct {
	path     string
	keys     *server.OperatorKeys
	logger   *slog.Logger
	quietFor time.Duration // a change is read when the folder has been quiet for so long
	every    time.Duration // between looks
	seen     string        // digest of what was read last, or why it was not
}

func newOperatorFile(path string, keys *server.OperatorKeys, logger *slog.Logger) *operatorFile {
	return &operatorFile{path: path, keys: keys, logger: logger, quietFor: 100 * time.Millisecond, every: 2 * time.Second}
}

// load takes the keys of the file, if it is right. It does nothing while the file is as it was at the last call.
func (f *operatorFile) load() error {
	content, err := f.read()
	seen := fmt.Sprintf("%x", sha256.Sum256(content))
	if err != nil {
		seen = err.Error()
	}
	if seen == f.seen {
		return nil
	}
	f.seen = seen
	var keys []server.Key
	if err == nil {
		keys, err = server.ParseKeyLines(string(content))
	}
	if err == nil {
		err = f.keys.Replace(keys)
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", operatorsFileSetting, f.path, err)
	}
	f.logger.Info("the file of operators' keys was read", "file", f.path, "keys", len(keys))
	return nil
}

func (f *operatorFile) read() ([]byte, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file") // a pipe would hold the program
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxOperatorFile+1))
	if err == nil && len(content) > maxOperatorFile {
		err = fmt.Errorf("it is larger than %d bytes", maxOperatorFile)
	}
	return content, err
}

// withoutPath is what is wrong with a file that the caller names.
func withoutPath(err error) error {
	var wrong *os.PathError
	if errors.As(err, &wrong) {
		return wrong.Err
	}
	return err
}

// run follows the file until ctx ends.
func (f *operatorFile) run(ctx context.Context) error {
	events, stop := f.subscribe()
	defer stop()
	look := time.NewTicker(f.every)
	defer look.Stop()
	quiet := time.NewTimer(0) // the first is for a change since the start
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			quiet.Reset(f.quietFor)
			continue
		case <-quiet.C:
		case <-look.C:
		}
		if err := f.load(); err != nil {
			f.logger.Error("the file of operators' keys is wrong: the last good keys stay in force", "file", f.path, "error", err)
		}
	}
}

// subscribe asks for the folder's events. Without them looking remains.
func (f *operatorFile) subscribe() (<-chan fsnotify.Event, func()) {
	folder := filepath.Dir(f.path)
	notify, err := fsnotify.NewWatcher()
	if err == nil {
		if err = notify.Add(folder); err != nil {
			err = errors.Join(err, notify.Close())
		}
	}
	if err != nil {
		f.logger.Warn("cannot watch the folder of the operators' keys: changes are seen late", "error", err, "path", folder, "every", f.every)
		return nil, func() {}
	}
	var draining sync.WaitGroup
	draining.Go(func() {
		for err := range notify.Errors {
			f.logger.Warn("watching the folder of the operators' keys", "error", err, "path", folder)
		}
	})
	return notify.Events, func() {
		if err := notify.Close(); err != nil {
			f.logger.Warn("stop watching the folder of the operators' keys", "error", err, "path", folder)
		}
		draining.Wait()
	}
}
