package pool

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// asynqLogger lets asynq speak through slog. What it calls information is our detail.
type asynqLogger struct{ *slog.Logger }

func (l asynqLogger) Debug(args ...any) { l.Logger.Debug("asynq", "detail", fmt.Sprint(args...)) }
func (l asynqLogger) Info(args ...any)  { l.Logger.Debug("asynq", "detail", fmt.Sprint(args...)) }
func (l asynqLogger) Error(args ...any) { l.Logger.Error("asynq", "detail", fmt.Sprint(args...)) }

// Warn leaves out what the tasks' own log says already of the failure or the revocation.
func (l asynqLogger) Warn(args ...any) {
	level, detail := slog.LevelWarn, fmt.Sprint(args...)
	if strings.HasPrefix(detail, "Retry exhausted for task id=") || strings.HasPrefix(detail, "revoke task id=") {
		level = slog.LevelDebug
	}
	l.Log(context.Background(), level, "asynq", "detail", detail)
}

// Fatal ends the process, as asynq expects.
func (l asynqLogger) Fatal(args ...any) {
	l.Logger.Error("asynq", "detail", fmt.Sprint(args...))
	os.Exit(1)
}
