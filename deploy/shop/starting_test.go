package shop

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/testenv"
)

// awayConfig is an API whose stores do not answer.
func awayConfig(t *testing.T, wait time.Duration) (boot.App, config.Config) {
	t.Helper()
	addr := func() string { return fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t)) }
	app, cfg := load(t, config.API, []string{
		"PAIDUI_HTTP_ADDR=" + addr(),
		"PAIDUI_ADMIN_ADDR=" + addr(),
		"PAIDUI_BROKER_URL=redis://" + addr(),
		"PAIDUI_CACHE_URL=redis://" + addr(),
		"PAIDUI_DATABASE_URL=mysql://root:hunter2@" + addr() + "/paidui",
		"PAIDUI_JWT_SECRET=0123456789abcdef0123456789abcdef",
		"PAIDUI_OPERATOR_KEY=0123456789abcdef",
		"PAIDUI_STARTUP_WAIT=" + wait.String(),
		"PAIDUI_LOG_LEVEL=error",
	})
	return app, cfg
}

// TestAPIRefusesConnectionsWhileItWaits asks an API that waits for its stores, and stops it.
func TestAPIRefusesConnectionsWhileItWaits(t *testing.T) {
	t.Parallel()
	app, cfg := awayConfig(t, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- boot.API(ctx, app, cfg) }()
	require.Equal(t, http.StatusOK, awaitAnswer(t, "http://"+cfg.AdminAddr+"/healthz"))
	require.Equal(t, http.StatusServiceUnavailable, awaitAnswer(t, "http://"+cfg.AdminAddr+"/readyz"))
	_, err := net.Dial("tcp", cfg.HTTPAddr)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	requireFree(t, cfg.HTTPAddr)
	requireFree(t, cfg.AdminAddr)
}

// TestAPIFailsWithItsPortsClosed fails it at every step that it can fail at.
func TestAPIFailsWithItsPortsClosed(t *testing.T) {
	t.Parallel()
	t.Run("stores", func(t *testing.T) {
		t.Parallel()
		app, cfg := awayConfig(t, 0)
		err := boot.API(t.Context(), app, cfg)
		require.ErrorContains(t, err, "PAIDUI_DATABASE_URL")
		require.NotContains(t, err.Error(), "hunter2")
		requireFree(t, cfg.HTTPAddr)
		requireFree(t, cfg.AdminAddr)
	})
	t.Run("admin port", func(t *testing.T) {
		t.Parallel()
		app, cfg := awayConfig(t, 0)
		taken, err := net.Listen("tcp", cfg.AdminAddr)
		require.NoError(t, err)
		defer taken.Close()
		require.ErrorContains(t, boot.API(t.Context(), app, cfg), "PAIDUI_ADMIN_ADDR: "+cfg.AdminAddr+" is taken")
		requireFree(t, cfg.HTTPAddr)
	})
	t.Run("HTTP port", func(t *testing.T) {
		t.Parallel()
		app, cfg := awayConfig(t, time.Hour)
		taken, err := net.Listen("tcp", cfg.HTTPAddr)
		require.NoError(t, err)
		defer taken.Close()
		require.ErrorContains(t, boot.API(t.Context(), app, cfg), "PAIDUI_HTTP_ADDR: "+cfg.HTTPAddr+" is taken")
		requireFree(t, cfg.AdminAddr)
	})
}

// awaitAnswer returns the status of the first answer.
func awaitAnswer(t *testing.T, url string) (status int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	require.Eventually(t, func() bool {
		resp, err := client.Get(url)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		status = resp.StatusCode
		return err == nil
	}, 20*time.Second, 10*time.Millisecond, "%s does not answer", url)
	return status
}

// requireFree waits until the address can be listened on. A process that another test is just starting may have the
// listener for a moment, too.
func requireFree(t *testing.T, addr string) {
	t.Helper()
	require.Eventually(t, func() bool {
		ln, err := net.Listen("tcp", addr)
		return err == nil && ln.Close() == nil
	}, 10*time.Second, 10*time.Millisecond, "%s stays taken", addr)
}
