package boot

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// NewLogger makes a logger that writes to w: format is json or text, level debug, info, warn or error. Times are UTC
// with milliseconds, durations are written as 1.5s.
func NewLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	logger, _, err := newLeveledLogger(w, format, level)
	return logger, err
}

// newLeveledLogger is NewLogger with a level that may be set later.
func newLeveledLogger(w io.Writer, format, level string) (*slog.Logger, *slog.LevelVar, error) {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	least, ok := levels[level]
	if !ok {
		return nil, nil, fmt.Errorf("log level %q is not debug, info, warn or error", level)
	}
	now := new(slog.LevelVar)
	now.Set(least)
	options := &slog.HandlerOptions{Level: now, ReplaceAttr: readable}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), now, nil
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), now, nil
	default:
		return nil, nil, fmt.Errorf("log format %q is not json or text", format)
	}
}

func readable(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindTime:
		a.Value = slog.StringValue(a.Value.Time().UTC().Format(timeFormat))
	case slog.KindDuration:
		a.Value = slog.StringValue(a.Value.Duration().Round(time.Microsecond).String())
	}
	return a
}
