package boot

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLoggerFormats(t *testing.T) {
	t.Parallel()
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	record := slog.NewRecord(time.Date(2026, 1, 2, 8, 4, 5, 678_901_234, shanghai), slog.LevelWarn, "waiting", 0)
	record.AddAttrs(
		slog.Any("error", errors.New("refused")),
		slog.Duration("next", 1500*time.Millisecond),
		slog.Group("task", slog.Time("eta", time.Date(2026, 1, 2, 8, 0, 0, 0, shanghai))),
	)

	var text bytes.Buffer
	logger := textLogger(t, &text)
	require.NoError(t, logger.Handler().Handle(t.Context(), record))
	require.Equal(t, "time=2026-01-02T00:04:05.678Z level=WARN msg=waiting error=refused next=1.5s "+
		"task.eta=2026-01-02T00:00:00.000Z\n", text.String())

	var line bytes.Buffer
	logger, err = NewLogger(&line, "json", "info")
	require.NoError(t, err)
	require.NoError(t, logger.Handler().Handle(t.Context(), record))
	require.JSONEq(t, `{"time":"2026-01-02T00:04:05.678Z","level":"WARN","msg":"waiting","error":"refused",
		"next":"1.5s","task":{"eta":"2026-01-02T00:00:00.000Z"}}`, line.String())
}

func TestLoggerLevels(t *testing.T) {
	t.Parallel()
	levels := []string{"debug", "info", "warn", "error"}
	for i, level := range levels {
		var out bytes.Buffer
		logger, err := NewLogger(&out, "json", level)
		require.NoError(t, err)
		logger.Debug("")
		logger.Info("")
		logger.Warn("")
		logger.Error("")
		require.Equal(t, len(levels)-i, bytes.Count(out.Bytes(), []byte("\n")), level)
		require.True(t, json.Valid(bytes.SplitN(out.Bytes(), []byte("\n"), 2)[0]))
	}
	_, err := NewLogger(nil, "json", "INFO")
	require.ErrorContains(t, err, `"INFO"`)
	_, err = NewLogger(nil, "xml", "info")
	require.ErrorContains(t, err, `"xml"`)
}
