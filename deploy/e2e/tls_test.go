package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// mount is a folder of a certificate and its key, as Kubernetes mounts a secret: links to files in a folder that is a link.
type mount struct {
	dir  string
	next int
}

func (m *mount) cert() string { return filepath.Join(m.dir, "tls.crt") }
func (m *mount) key() string  { return filepath.Join(m.dir, "tls.key") }

// move has the links lead to a folder of new files, all at once.
func (m *mount) move(t *testing.T, cert, key []byte) {
	t.Helper()
	m.next++
	folder := fmt.Sprint("..", m.next)
	require.NoError(t, os.Mkdir(filepath.Join(m.dir, folder), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(m.dir, folder, "tls.crt"), cert, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(m.dir, folder, "tls.key"), key, 0o600))
	link := filepath.Join(m.dir, "..data")
	require.NoError(t, os.Symlink(folder, link+".new"))
	require.NoError(t, os.Rename(link+".new", link))
	if m.next == 1 {
		require.NoError(t, os.Symlink("..data/tls.crt", m.cert()))
		require.NoError(t, os.Symlink("..data/tls.key", m.key()))
	}
}

// TestTheAPISpeaksTLSAndRenewsItsCertificate replaces the certificate under load: behind links, in place, and by one that
// does not fit. No request fails.
func TestTheAPISpeaksTLSAndRenewsItsCertificate(t *testing.T) {
	authority := testenv.NewAuthority(t)
	issue := func(name string) (cert, key []byte) {
		certFile, keyFile := authority.Issue(name)
		cert, err := os.ReadFile(certFile)
		require.NoError(t, err)
		key, err = os.ReadFile(keyFile)
		require.NoError(t, err)
		return cert, key
	}
	files := &mount{dir: t.TempDir()}
	cert, key := issue("first")
	files.move(t, cert, key)
	p, _ := startLocal(t, filepath.Join(t.TempDir(), "paidui.db"),
		fmt.Sprintf("PAIDUI_HTTP_ADDR=127.0.0.1:%d", testenv.FreePort(t)), "PAIDUI_OPERATOR_KEY="+operatorKey,
		"PAIDUI_TLS_CERT_FILE="+files.cert(), "PAIDUI_TLS_KEY_FILE="+files.key())
	require.True(t, strings.HasPrefix(p.url, "https://"), p.url)

	pem, err := os.ReadFile(authority.File)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	newClient := func(keepAlive bool) *http.Client {
		return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: !keepAlive,
		}}
	}
	get := func(client *http.Client, path string) (served string, body string, err error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
		if err != nil {
			return "", "", err
		}
		req.Header.Set("Authorization", "Bearer "+operatorKey)
		res, err := client.Do(req)
		if err != nil {
			return "", "", err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err == nil && (res.StatusCode != http.StatusOK || res.Proto != "HTTP/1.1") {
			err = fmt.Errorf("%s: %s %s %s", path, res.Proto, res.Status, text)
		}
		return res.TLS.PeerCertificates[0].Subject.CommonName, string(text), err
	}

	stop := make(chan struct{})
	var (
		clients  sync.WaitGroup
		requests atomic.Int64
		mu       sync.Mutex
		failed   error
	)
	for i := range 4 {
		clients.Go(func() {
			client := newClient(i%2 == 0)
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, _, err := get(client, "/v1/banners")
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
				requests.Add(1)
			}
		})
	}
	fresh := newClient(false)
	awaitServed := func(name string) {
		t.Helper()
		require.Eventually(t, func() bool {
			served, _, err := get(fresh, "/v1/goods")
			require.NoError(t, err)
			return served == name
		}, time.Minute, 20*time.Millisecond, name)
	}
	awaitServed("first")

	cert, key = issue("second")
	files.move(t, cert, key)
	awaitServed("second")

	cert, key = issue("third") // in place, with a moment in which the files do not fit
	require.NoError(t, os.WriteFile(files.cert(), cert, 0o600))
	awaitLog(t, p, "can't be renewed")
	require.NoError(t, os.WriteFile(files.key(), key, 0o600))
	awaitServed("third")

	files.move(t, []byte("nothing"), key)
	awaitLog(t, p, "failed to find any PEM data")
	awaitServed("third")
	cert, key = issue("fourth")
	files.move(t, cert, key)
	awaitServed("fourth")

	// Requests that wait go on outside of net/http.
	id := "waited-for"
	require.NoError(t, postTask(t, newClient(true), p.url, `{"task":"demo.add","args":{"n":1,"m":2},"id":"`+id+`","countdown":"4s"}`))
	_, body, err := get(fresh, "/v1/tasks/"+id+"?wait=60s")
	require.NoError(t, err)
	require.Contains(t, body, `"result":3`)
	require.NoError(t, postTask(t, newClient(true), p.url, `{"task":"demo.add","args":{"n":1,"m":3},"id":"`+id+`-2","countdown":"2s"}`))
	_, body, err = get(fresh, "/v1/tasks/"+id+"-2/events")
	require.NoError(t, err)
	require.Contains(t, body, `"result":4`)
	require.Contains(t, body, "event: end")

	plain, err := http.Get("http://" + strings.TrimPrefix(p.url, "https://") + "/v1/banners")
	require.NoError(t, err)
	defer plain.Body.Close()
	require.Equal(t, http.StatusBadRequest, plain.StatusCode)
	code, out := run(t, filepath.Join(build(t), "paidui"), []string{
		"PAIDUI_ADMIN_ADDR=" + strings.TrimPrefix(p.admin, "http://"),
		"PAIDUI_TLS_CERT_FILE=" + files.cert(), "PAIDUI_TLS_KEY_FILE=" + files.key(),
	}, "health", "--ready")
	require.Zero(t, code, out)

	close(stop)
	clients.Wait()
	require.NoError(t, failed, "of %d requests", requests.Load())
	require.Positive(t, requests.Load())
	p.terminate(t)
}

func awaitLog(t *testing.T, p *program, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(p.log.String(), text) }, time.Minute, 20*time.Millisecond, text)
}

// postTask makes a task on a connection that it does not keep.
func postTask(t *testing.T, client *http.Client, base, body string) error {
	t.Helper()
	defer client.CloseIdleConnections()
	return send(t, client, http.MethodPost, base+"/v1/tasks", body)
}
