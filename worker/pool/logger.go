package pool

import (
	"fmt"
	"log/slog"
	"os"
)

// asynqLogger lets asynq speak through slog. What it calls information is our detail.
type asynqLogger struct{ *slog.Logger }

func (l asynqLogger) Debug(args ...any) { l.Logger.Debug("asynq", "detail", fmt.Sprint(args...)) }
func (l asynqLogger) Info(args ...any)  { l.Logger.Debug("asynq", "detail", fmt.Sprint(args...)) }
func (l asynqLogger) Warn(args ...any)  { l.Logger.Warn("asynq", "detail", fmt.Sprint(args...)) }
func (l asynqLogger) Error(args ...any) { l.Logger.Error("asynq", "detail", fmt.Sprint(args...)) }

// Fatal ends the process, as asynq expects.
func (l asynqLogger) Fatal(args ...any) {
	l.Logger.Error("asynq", "detail", fmt.Sprint(args...))
	os.Exit(1)
}
