package boot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/models/filewatch"
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
	file := &operatorFile{path: cfg.OperatorKeysFile, keys: e.operators, logger: e.Logger}
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

// operatorFile reads the file of keys again when it has changed.
type operatorFile struct {
	path   string
	keys   *server.OperatorKeys
	logger *slog.Logger
	seen   string // digest of what was read last, or why it was not
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
	filewatch.New(f.path, "operators' keys", f.logger).Run(ctx, func() {
		if err := f.load(); err != nil {
			f.logger.Error("the file of operators' keys is wrong: the last good keys stay in force", "file", f.path, "error", err)
		}
	})
	return nil
}
