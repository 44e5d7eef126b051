package shop

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// load is a shop of its own, and its configuration as program p.
func load(t *testing.T, p config.Program, environ []string) (boot.App, config.Config) {
	t.Helper()
	app := App()
	cfg, err := app.Load(p, nil, environ)
	require.NoError(t, err)
	return app, cfg
}
