package program

import (
	"context"
	"log/slog"

	"github.com/paidui/paidui/deploy/config"
)

// warnOfSettings logs what is doubtful about settings that are right otherwise.
func warnOfSettings(ctx context.Context, logger *slog.Logger, cfg config.Config) {
	for _, doubt := range cfg.Warnings() {
		logger.WarnContext(ctx, "a setting is doubtful", "setting", doubt.Variable, "error", doubt)
	}
}
