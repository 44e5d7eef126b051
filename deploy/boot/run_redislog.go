package boot

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// redisLogger lets go-redis speak through slog. It only speaks of connections that it will try again, once for each
// command that met them; the command's own error is logged by whoever sent it.
type redisLogger struct{ *slog.Logger }

func (l redisLogger) Printf(ctx context.Context, format string, args ...any) {
	l.DebugContext(ctx, "redis client", "event", fmt.Sprintf(format, args...))
}

// logRedis is for the command line alone: go-redis keeps one logger for the whole process.
func logRedis(logger *slog.Logger) { redis.SetLogger(redisLogger{logger}) }
