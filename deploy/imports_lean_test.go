package deploy_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lean are the modules that a program brings in which enqueues tasks and works on them, and no others: no database driver,
// no ORM, no migrations, no embedded Redis, no HTTP framework.
var lean = []string{
	module,
	"github.com/hibiken/asynq", "github.com/redis/go-redis/v9", "google.golang.org/protobuf", // the engine, and what it needs
	"github.com/cespare/xxhash/v2", "github.com/dgryski/go-rendezvous", "github.com/google/uuid", "github.com/robfig/cron/v3",
	"github.com/spf13/cast", "go.uber.org/atomic", "golang.org/x/sys", "golang.org/x/time",
	"github.com/go-json-experiment/json", "github.com/google/jsonschema-go", "golang.org/x/sync", // arguments and their schemas
}

// dependencies are the packages that a package is built of, each with its module; "" is the standard library.
func dependencies(t *testing.T, target string) map[string]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", target).Output()
	require.NoError(t, err)
	found := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		name, of, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[name] = of
	}
	return found
}

// TestImportsOfALeanProgram holds what the framework alone brings into somebody's program.
func TestImportsOfALeanProgram(t *testing.T) {
	t.Parallel()
	plain := len(dependencies(t, "github.com/hibiken/asynq"))
	require.Greater(t, plain, 100)
	for _, target := range []string{"/tasks", "/worker/pool"} {
		found := dependencies(t, module+target)
		for name, of := range found {
			if of != "" {
				require.Contains(t, lean, of, "%s needs %s", target, name)
			}
		}
		require.LessOrEqual(t, float64(len(found)), 1.15*float64(plain), "packages of %s, against asynq's %d", target, plain)
	}
}

// TestImportsOfServices: programs in service have no operator's commands, and draw on no terminal's screen.
func TestImportsOfServices(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/api", "/worker", "/scheduler", "/deploy/boot"} {
		found := dependencies(t, module+target)
		require.Contains(t, found, module+"/deploy/boot")
		for name, of := range found {
			require.False(t, strings.HasPrefix(name, module+"/deploy/ctl"), "%s needs %s", target, name)
			require.False(t, strings.HasPrefix(of, "charm.land/") || strings.HasPrefix(of, "github.com/charmbracelet/"), "%s needs %s", target, name)
		}
	}
}
