package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// balancer spreads requests over the replicas that are ready, as it learns by asking them. A replica that refuses a
// connection is passed over; any other failure is the client's.
type balancer struct {
	replicas []*program
	ready    []atomic.Bool
	turn     atomic.Int64
	client   *http.Client
}

// newBalancer asks the replicas every 20 ms, until the test ends.
func newBalancer(t *testing.T, replicas []*program) *balancer {
	b := &balancer{
		replicas: replicas,
		ready:    make([]atomic.Bool, len(replicas)),
		client:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: time.Minute},
	}
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for i, p := range replicas {
		asking.Go(func() {
			for {
				res, err := b.client.Get(p.admin + "/readyz")
				b.ready[i].Store(err == nil && res.StatusCode == http.StatusOK)
				if err == nil {
					_ = res.Body.Close()
				}
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	t.Cleanup(func() {
		close(stop)
		asking.Wait()
		b.client.CloseIdleConnections()
	})
	return b
}

// send makes one request of a replica, and an error of any answer but 200.
func (b *balancer) send(method, path, body string) error {
	const tries = 1000
	for range tries {
		i := int(b.turn.Add(1)) % len(b.replicas)
		if !b.ready[i].Load() {
			time.Sleep(time.Millisecond)
			continue
		}
		req, err := http.NewRequest(method, b.replicas[i].url+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.GetBody = nil // or the client itself would send a request again whose connection broke
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+operatorKey)
		res, err := b.client.Do(req)
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue
		}
		if err != nil {
			return err
		}
		raw, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s %s: %s %s %w", method, path, res.Status, raw, err)
		}
		return nil
	}
	return errors.New("no replica is ready")
}

// TestARollingRestartLosesNoRequest restarts two APIs in turn, while clients read, enqueue and wait.
func TestARollingRestartLosesNoRequest(t *testing.T) {
	bin := build(t)
	redis := testenv.Redis(t)
	env := []string{
		"PAIDUI_BROKER_URL=" + redis.URL(1),
		"PAIDUI_CACHE_URL=" + redis.URL(2),
		"PAIDUI_DATABASE_URL=" + testenv.MySQL(t),
		"PAIDUI_JWT_SECRET=" + jwtSecret,
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
		"PAIDUI_SHUTDOWN_DELAY=2s",
	}
	var apis []*program
	for i := range 2 {
		apis = append(apis, start(t, filepath.Join(bin, "api"), fmt.Sprint("api", i), env))
	}
	worker := start(t, filepath.Join(bin, "worker"), "worker", env)
	for _, p := range append(apis, worker) {
		p.awaitReady(t)
	}
	b := newBalancer(t, apis)

	stop := make(chan struct{})
	var (
		clients sync.WaitGroup
		sent    atomic.Int64
		mu      sync.Mutex
		failed  []error
	)
	for i := range 8 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("rolling-%d-%d", i, n)
				for _, err := range []error{
					b.send(http.MethodGet, "/v1/banners", ""),
					b.send(http.MethodPost, "/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"id":"`+id+`"}`),
					b.send(http.MethodGet, "/v1/tasks/"+id+"?wait=30s", ""),
				} {
					sent.Add(1)
					if err != nil {
						mu.Lock()
						failed = append(failed, err)
						mu.Unlock()
					}
				}
			}
		})
	}
	for _, p := range apis {
		before := sent.Load()
		p.terminate(t)
		p.again(t)
		p.awaitReady(t)
		require.Eventually(t, func() bool { return sent.Load() > before+100 }, time.Minute, time.Millisecond)
	}
	close(stop)
	clients.Wait()
	require.Empty(t, failed, "of %d requests", sent.Load())
	t.Logf("%d requests", sent.Load())
	worker.terminate(t)
}

// TestASecondSignalEndsTheDelay stops an API that would serve on for long.
func TestASecondSignalEndsTheDelay(t *testing.T) {
	p, _ := startLocal(t, filepath.Join(t.TempDir(), "paidui.db"),
		fmt.Sprintf("PAIDUI_HTTP_ADDR=127.0.0.1:%d", testenv.FreePort(t)), "PAIDUI_SHUTDOWN_DELAY=5m")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	awaitStatus(t, p.admin+"/readyz", http.StatusServiceUnavailable)
	awaitStatus(t, p.url+"/healthz", http.StatusServiceUnavailable)
	must(t, http.MethodGet, p.url+"/v1/banners", "", nil)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-p.ended:
		require.ErrorContains(t, err, "exit status 143")
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}
