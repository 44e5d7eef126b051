package program

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/config"
)

func TestWhichSchedules(t *testing.T) {
	shipped, err := os.ReadFile("../schedules.yaml")
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	path, content, err := schedules("")
	require.NoError(t, err)
	require.Empty(t, path)
	require.Equal(t, shipped, content)

	require.NoError(t, os.MkdirAll("deploy", 0o700))
	require.NoError(t, os.WriteFile(defaultSchedules, []byte("schedules: []"), 0o600))
	path, content, err = schedules("")
	require.NoError(t, err)
	require.Equal(t, defaultSchedules, path)
	require.Nil(t, content)
	path, _, err = schedules("other.yaml")
	require.NoError(t, err)
	require.Equal(t, "other.yaml", path, "a file that is named has to exist")
}

// TestLocalFromAnotherFolder starts it in an empty folder, with everything that it brings itself, and with a file of
// schedules that does not exist.
func TestLocalFromAnotherFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	local := func(ctx context.Context, environ ...string) (*output, chan error) {
		cfg, err := config.Load(config.Local, nil, append([]string{
			"PAIDUI_HTTP_ADDR=127.0.0.1:0", "PAIDUI_ADMIN_ADDR=127.0.0.1:0", "PAIDUI_LOG_LEVEL=error",
		}, environ...), urlChecks())
		require.NoError(t, err)
		var out output
		ended := make(chan error, 1)
		go func() { ended <- Local(ctx, cfg, &out) }()
		return &out, ended
	}
	missing := filepath.Join(t.TempDir(), "none.yaml")
	_, ended := local(t.Context(), "PAIDUI_SCHEDULES="+missing)
	require.ErrorContains(t, <-ended, "PAIDUI_SCHEDULES: ")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, ended := local(ctx)
	require.Eventually(t, func() bool {
		select {
		case err := <-ended:
			t.Errorf("it ended: %v\n%s", err, out.String())
			return true
		default:
			return len(out.String()) > 0
		}
	}, 2*time.Minute, 20*time.Millisecond)
	require.Contains(t, out.String(), "Paidui is ready")
	require.FileExists(t, filepath.Join(".paidui", "paidui.db"))
	cancel()
	require.NoError(t, <-ended)
}
