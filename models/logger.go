package models

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"
	gormlogger "gorm.io/gorm/logger"
)

// slowQuery is the duration from which a query is worth a warning.
const slowQuery = 500 * time.Millisecond

// queryLogger hands GORM's reports to slog. Parameters never reach it: they are codes, numbers and names.
type queryLogger struct{ logger *slog.Logger }

// LogMode implements gormlogger.Interface; the level is slog's to choose.
func (l *queryLogger) LogMode(gormlogger.LogLevel) gormlogger.Interface { return l }

// Info implements gormlogger.Interface.
func (l *queryLogger) Info(ctx context.Context, format string, args ...any) {
	l.logger.InfoContext(ctx, fmt.Sprintf(format, args...))
}

// Warn implements gormlogger.Interface.
func (l *queryLogger) Warn(ctx context.Context, format string, args ...any) {
	l.logger.WarnContext(ctx, fmt.Sprintf(format, args...))
}

// Error implements gormlogger.Interface.
func (l *queryLogger) Error(ctx context.Context, format string, args ...any) {
	l.logger.ErrorContext(ctx, fmt.Sprintf(format, args...))
}

// ParamsFilter implements gorm.ParamsFilter: it keeps the placeholders and drops the parameters.
func (l *queryLogger) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}

// Trace implements gormlogger.Interface. A failed query is a warning here, because whoever asked decides how bad
// it is; what callers ask on purpose (is it there? is it taken?) and an ended context are no failures.
func (l *queryLogger) Trace(ctx context.Context, begin time.Time, query func() (string, int64), err error) {
	elapsed := time.Since(begin)
	level, message := slog.LevelDebug, "query"
	switch {
	case err != nil && !expected(err):
		level, message = slog.LevelWarn, "query failed"
	case elapsed >= slowQuery:
		level, message = slog.LevelWarn, "query slow"
	}
	if !l.logger.Enabled(ctx, level) {
		return
	}
	sql, rows := query()
	attrs := []slog.Attr{slog.String("sql", sql), slog.Int64("rows", rows), slog.Duration("elapsed", elapsed)}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	l.logger.LogAttrs(ctx, level, message, attrs...)
}

func expected(err error) bool {
	return errors.Is(err, gorm.ErrRecordNotFound) || IsDuplicate(err) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
