package boot

import (
	"context"
	"log/slog"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models/keyring"
	"github.com/paidui/paidui/tasks"
)

// warnOfSettings logs what is doubtful about settings that are right otherwise.
func warnOfSettings(ctx context.Context, logger *slog.Logger, cfg config.Config) {
	for _, doubt := range cfg.Warnings() {
		logger.WarnContext(ctx, "a setting is doubtful", "setting", doubt.Variable, "error", doubt)
	}
}

// tellOfKeys logs under which keys the values of encrypted tasks are stored, or that they are not encrypted.
func tellOfKeys(ctx context.Context, logger *slog.Logger, c *tasks.Catalog, keys *keyring.Ring) {
	var names []string
	for _, spec := range c.All() {
		if spec.Encrypted() {
			names = append(names, spec.Name())
		}
	}
	switch {
	case len(names) == 0:
	case keys == nil:
		logger.WarnContext(ctx, "tasks that are to be encrypted are stored in the clear: the setting has no keys",
			"setting", keysSetting, "tasks", names)
	default:
		logger.InfoContext(ctx, "tasks are stored encrypted", "tasks", names, "keys", keys.IDs())
	}
}
