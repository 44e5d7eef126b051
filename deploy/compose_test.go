package deploy_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/shop"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// secrets are what an operator has to put into .env.
var secrets = []string{
	"PAIDUI_JWT_SECRET=0123456789abcdef0123456789abcdef",
	"PAIDUI_OPERATOR_KEY=fedcba9876543210fedcba9876543210",
	"MYSQL_PASSWORD=mysqlpassword",
	"REDIS_PASSWORD=redispassword",
}

func loadCompose(env []string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{"compose.yaml"}, cli.WithEnv(env), cli.WithDiscardEnvFile)
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}

func compose(t *testing.T) *types.Project {
	t.Helper()
	project, err := loadCompose(secrets)
	require.NoError(t, err)
	return project
}

func TestComposeServices(t *testing.T) {
	project := compose(t)
	require.ElementsMatch(t, []string{"mysql", "redis", "api", "worker", "scheduler"}, project.ServiceNames())
	scheduler := project.Services["scheduler"]
	require.Equal(t, 2, scheduler.GetScale())
	for name, service := range project.Services {
		require.NotNil(t, service.HealthCheck, name)
		require.NotEmpty(t, service.HealthCheck.Test, name)
		require.Equal(t, "unless-stopped", service.Restart, name)
	}
	for _, name := range []string{"api", "worker", "scheduler"} {
		service := project.Services[name]
		path := "/usr/local/bin/" + name
		require.Equal(t, types.ShellCommand{path}, service.Command, name)
		require.Equal(t, types.HealthCheckTest{"CMD", path, "health", "--ready"}, service.HealthCheck.Test, name)
		require.True(t, service.ReadOnly, name)
		require.Equal(t, []string{"ALL"}, service.CapDrop, name)
		for _, store := range []string{"mysql", "redis"} {
			require.Equal(t, types.ServiceConditionHealthy, service.DependsOn[store].Condition, name)
		}
		require.FileExists(t, service.Build.Context+"/"+service.Build.Dockerfile, name)
	}
	for _, name := range []string{"mysql", "redis", "worker", "scheduler"} {
		require.Empty(t, project.Services[name].Ports, "%s is nobody else's business", name)
	}
	require.Equal(t, "127.0.0.1", project.Services["api"].Ports[0].HostIP)
}

func TestComposeRedisKeepsTasks(t *testing.T) {
	redis := compose(t).Services["redis"]
	command := strings.Join(redis.Command, " ")
	require.Contains(t, command, "--appendonly yes")
	require.Contains(t, command, "--maxmemory-policy noeviction")
	require.Contains(t, command, "--requirepass")
	require.Len(t, redis.Volumes, 1)
	require.Equal(t, "/data", redis.Volumes[0].Target)
}

func TestComposeAsksForEverySecret(t *testing.T) {
	for i, secret := range secrets {
		name, _, _ := strings.Cut(secret, "=")
		rest := append(append([]string{}, secrets[:i]...), secrets[i+1:]...)
		_, err := loadCompose(rest)
		require.ErrorContains(t, err, name)
	}
}

// TestComposeSettings runs each program's health command with the environment that compose gives it, which loads and
// validates the whole configuration, and then asks the admin address.
func TestComposeSettings(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/readyz", r.URL.Path)
		w.Header().Set("Connection", "close")
	}))
	defer admin.Close()
	commands := map[string]*cobra.Command{
		"api":       boot.Command(shop.App(), "api"),
		"worker":    boot.Command(shop.App(), "worker"),
		"scheduler": boot.Command(shop.App(), "scheduler"),
	}
	known := knownVariables(t)
	project := compose(t)
	for name, cmd := range commands {
		t.Run(name, func(t *testing.T) {
			for variable, value := range project.Services[name].Environment {
				require.Contains(t, known, variable)
				require.NotNil(t, value, variable)
				t.Setenv(variable, *value)
			}
			require.Equal(t, "0.0.0.0:9000", os.Getenv("PAIDUI_ADMIN_ADDR"))
			t.Setenv("PAIDUI_ADMIN_ADDR", strings.TrimPrefix(admin.URL, "http://"))
			require.NoError(t, execute(cmd, "health", "--ready"))
			t.Setenv("PAIDUI_BROKER_URL", "nonsense")
			require.ErrorContains(t, execute(cmd, "health", "--ready"), "PAIDUI_BROKER_URL", "the command did not validate the settings")
		})
	}
}

func execute(cmd *cobra.Command, args ...string) error {
	cmd.SetArgs(args)
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	return cmd.ExecuteContext(context.Background())
}

// knownVariables are those that --help names; api, worker and scheduler have each their own.
func knownVariables(t *testing.T) []string {
	t.Helper()
	var out strings.Builder
	for _, cmd := range []*cobra.Command{
		boot.Command(shop.App(), "api"), boot.Command(shop.App(), "worker"), boot.Command(shop.App(), "scheduler"),
	} {
		cmd.SetOut(&out)
		cmd.SetArgs([]string{"--help"})
		require.NoError(t, cmd.Execute())
	}
	names := regexp.MustCompile(`PAIDUI_[A-Z0-9_]+`).FindAllString(out.String(), -1)
	require.Contains(t, names, "PAIDUI_DATABASE_URL")
	return names
}
