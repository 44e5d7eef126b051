package web_test

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/web"
)

func get(t *testing.T, h http.Handler, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestHandlerServesEveryFile(t *testing.T) {
	t.Parallel()
	h := web.Handler()
	types := map[string]string{
		".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", "": "text/plain; charset=utf-8",
	}
	count := 0
	err := fs.WalkDir(web.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		count++
		path := "/" + strings.TrimSuffix(name, "index.html")
		res := get(t, h, path)
		require.Equal(t, http.StatusOK, res.StatusCode, path)
		want, err := fs.ReadFile(web.Files, name)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Equal(t, want, body, path)
		ext := ""
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			ext = name[i:]
		}
		require.Equal(t, types[ext], res.Header.Get("Content-Type"), path)
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"), path)
		require.NotEmpty(t, res.Header.Get("Referrer-Policy"), path)
		require.Contains(t, res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		require.NotContains(t, res.Header.Get("Content-Security-Policy"), "unsafe-eval", path)

		again := get(t, h, path, "If-None-Match", res.Header.Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.StatusCode, path)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, count, 20)
}

func TestCaching(t *testing.T) {
	t.Parallel()
	h := web.Handler()
	require.Equal(t, "no-cache", get(t, h, "/").Header.Get("Cache-Control"))
	require.Equal(t, "no-cache", get(t, h, "/app.js").Header.Get("Cache-Control"))
	require.Equal(t, "public, max-age=3600", get(t, h, "/media/banner-1.svg").Header.Get("Cache-Control"))
	require.Contains(t, get(t, h, "/").Header.Get("Content-Security-Policy"), "default-src 'self';")
}

func TestCompression(t *testing.T) {
	t.Parallel()
	h := web.Handler()
	plain := get(t, h, "/app.js")
	for header, packed := range map[string]bool{
		"gzip": true, "br, GZIP ;q=0.5": true, "gzip;q=1.0": true,
		"": false, "br": false, "gzip;q=0": false, "gzip; q=0.000, br": false, "xgzip": false,
	} {
		res := get(t, h, "/app.js", "Accept-Encoding", header)
		require.Equal(t, "Accept-Encoding", res.Header.Get("Vary"), header)
		if !packed {
			require.Empty(t, res.Header.Get("Content-Encoding"), header)
			continue
		}
		require.Equal(t, "gzip", res.Header.Get("Content-Encoding"), header)
		require.NotEqual(t, plain.Header.Get("ETag"), res.Header.Get("ETag"))
		unpacked, err := gzip.NewReader(res.Body)
		require.NoError(t, err)
		body, err := io.ReadAll(unpacked)
		require.NoError(t, err)
		want, err := fs.ReadFile(web.Files, "app.js")
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, body))
	}
}

func TestWhatIsNotServed(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/index.html", "/media", "/media/", "/media/none.svg", "/web.go", "/v1/none", "/media/../app.js", "//"} {
		require.Equal(t, http.StatusNotFound, get(t, web.Handler(), path).StatusCode, path)
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))

	w = httptest.NewRecorder()
	web.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Zero(t, w.Body.Len())
}

// TestNothingFromElsewhere reads our own files for addresses of other hosts. The browser test sees what is asked;
// this one sees what could be.
func TestNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	address := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	names := regexp.MustCompile(`http://www\.w3\.org/2000/svg`) // the name of a language, never fetched
	require.NoError(t, fs.WalkDir(web.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(name, "vendor/") {
			return err
		}
		body, err := fs.ReadFile(web.Files, name)
		require.NoError(t, err)
		require.Empty(t, address.FindAllString(names.ReplaceAllString(string(body), ""), -1), name)
		return nil
	}))
	vue, err := fs.ReadFile(web.Files, "vendor/vue.runtime.esm-browser.prod.js")
	require.NoError(t, err)
	require.NotContains(t, string(vue), "new Function", "the build with a compiler needs 'unsafe-eval'")
}

func TestPicturesAreSound(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"media/*.svg", "media/goods/*.svg", "favicon.svg"} {
		files, err := fs.Glob(web.Files, pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, name := range files {
			body, err := fs.ReadFile(web.Files, name)
			require.NoError(t, err)
			parser := xml.NewDecoder(bytes.NewReader(body))
			for err = nil; err == nil; {
				var token xml.Token
				if token, err = parser.Token(); err == nil {
					if element, ok := token.(xml.StartElement); ok {
						require.NotEqual(t, "script", element.Name.Local, name)
					}
				}
			}
			require.True(t, errors.Is(err, io.EOF), "%s: %v", name, err)
		}
	}
	for _, name := range []string{"banner-1", "banner-2", "banner-3", "banner-4"} {
		body, err := fs.ReadFile(web.Files, "media/"+name+".svg")
		require.NoError(t, err)
		require.Contains(t, string(body), `viewBox="0 0 1200 400"`)
	}
}
