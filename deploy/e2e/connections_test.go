package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// TestOneAddressDoesNotShutTheAPI has an API with 1,024 descriptors and one address that opens 1,100 connections, in each
// way of keeping them. Another address is served on new connections the whole time, and so are the admin address and the
// stores.
func TestOneAddressDoesNotShutTheAPI(t *testing.T) {
	bin := build(t)
	redis := testenv.Redis(t)
	api := start(t, "/bin/sh", "api", []string{
		"PAIDUI_BROKER_URL=" + redis.URL(1),
		"PAIDUI_CACHE_URL=" + redis.URL(2),
		"PAIDUI_DATABASE_URL=" + testenv.MySQL(t),
		"PAIDUI_JWT_SECRET=" + jwtSecret,
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
		"PAIDUI_CACHE_NEAR=0", // each answer comes from the stores
	}, "-c", "ulimit -n 1024 && exec "+filepath.Join(bin, "api"))
	api.awaitReady(t)
	host := strings.TrimPrefix(api.url, "http://")

	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if c, err := dialer.DialContext(t.Context(), "tcp", host); err != nil {
		t.Skip("this machine has no 127.0.0.2: ", err)
	} else {
		require.NoError(t, c.Close())
	}
	other := &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		Timeout:   time.Minute,
	}
	send := func(client *http.Client, method, url, body string) error { return send(t, client, method, url, body) }
	require.NoError(t, send(other, http.MethodPost, api.url+"/v1/tasks",
		`{"task":"demo.add","args":{"n":1,"m":2},"id":"waited-for","countdown":"1h"}`))

	var served atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	failed := make(chan error, 1)
	clients.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			for _, err := range []error{
				send(other, http.MethodGet, api.url+"/v1/goods", ""),
				send(other, http.MethodGet, api.url+"/v1/tasks?task=demo.add", ""),
				send(other, http.MethodPost, api.url+"/v1/tasks", fmt.Sprintf(`{"task":"demo.add","args":{"n":1,"m":2},"id":"other-%d"}`, n)),
				send(http.DefaultClient, http.MethodGet, api.admin+"/readyz", ""),
			} {
				if err != nil {
					failed <- err
					return
				}
			}
			served.Add(1)
		}
	})
	// metric is a series of /metrics; one of an answer is not there, and 0, before the first.
	metric := func(series string) float64 {
		res, err := http.Get(api.admin + "/metrics")
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindSubmatch(text)
		if found == nil && strings.Contains(series, "status=") {
			return 0
		}
		require.NotNil(t, found, series)
		value, err := strconv.ParseFloat(string(found[1]), 64)
		require.NoError(t, err)
		return value
	}
	for _, c := range []struct{ name, request, counts string }{
		{"half a header", "GET /v1/banners HTTP/1.1\r\nHost:", `paidui_http_connections_refused_total{reason="address"}`},
		{"idle", "GET /v1/banners HTTP/1.1\r\nHost: x\r\n\r\n", `paidui_http_connections_closed_total{reason="idle"}`},
		{"event streams", "GET /v1/tasks/waited-for/events HTTP/1.1\r\nHost: x\r\n\r\n",
			`paidui_http_request_duration_seconds_count{method="GET",route="/v1/tasks/:id/events",status="429"}`},
	} {
		var attackers []net.Conn
		attack := func(n int) {
			for range n {
				if conn, err := net.Dial("tcp", host); err == nil {
					_, _ = io.WriteString(conn, c.request) // it may have been closed
					attackers = append(attackers, conn)
				}
			}
		}
		attack(1100)
		before := served.Load()
		require.Eventually(t, func() bool { return served.Load() > before+20 || len(failed) > 0 }, 2*time.Minute, time.Millisecond, c.name)
		select {
		case err := <-failed:
			t.Fatal(c.name, ": ", err)
		default:
		}
		// Those that have come first may not have got so far: more come until the API had to act.
		for deadline := time.Now().Add(2 * time.Minute); metric(c.counts) == 0; attack(20) {
			require.True(t, time.Now().Before(deadline), c.name)
		}
		require.LessOrEqual(t, metric("process_open_fds"), 1024.0-20, c.name)
		for _, conn := range attackers {
			_ = conn.Close()
		}
	}
	close(stop)
	clients.Wait()
	require.Empty(t, failed)
	require.Eventually(t, func() bool { return metric(`paidui_http_connections{state="waiting"}`) == 0 }, 2*time.Minute, 50*time.Millisecond)
	require.NotContains(t, api.log.String(), "too many open files")
	api.terminate(t)
}

// send sends a request as the operator. Any answer but 200 is an error.
func send(t *testing.T, client *http.Client, method, url, body string) error {
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s %s %w", method, url, res.Status, text, err)
	}
	return nil
}
