package server_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/testenv"
)

// contains reports whether text has every part.
func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// logged returns the access log's lines.
func (s *system) logged(t *testing.T) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(s.log.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		if fields["msg"] == "request" {
			lines = append(lines, fields)
		}
	}
	return lines
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	require.Equal(t, "abc:1/2+3=@", s.Get("/v1/goods", header("X-Request-ID", "abc:1/2+3=@")).Header.Get("X-Request-ID"))
	for _, unsafe := range []string{"", "a b", "<script>", "a\tb", strings.Repeat("a", 129)} {
		got := s.Get("/v1/nothing", header("X-Request-ID", unsafe)).Header.Get("X-Request-ID")
		require.Regexp(t, "^[0-9a-f]{32}$", got)
	}
	require.NotEqual(t, s.Get("/healthz").Header.Get("X-Request-ID"), s.Get("/healthz").Header.Get("X-Request-ID"))
}

func TestAccessLogAndMetrics(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	s.Get("/v1/goods/7?mobile=13812345678", header("X-Request-ID", "the-id"))
	s.Get("/v1/made-up/13812345678")
	s.Do("BREW", "/v1/goods", nil)
	lines := s.logged(t)
	require.Len(t, lines, 3)
	require.Equal(t, []any{"GET", "/v1/goods/:id", 400.0, "127.0.0.1", "the-id"},
		[]any{lines[0]["method"], lines[0]["route"], lines[0]["status"], lines[0]["ip"], lines[0]["request_id"]})
	require.Contains(t, lines[0], "ms")
	require.Equal(t, []any{"unmatched", 404.0}, []any{lines[1]["route"], lines[1]["status"]})
	require.Equal(t, []any{"other", "unmatched", 405.0}, []any{lines[2]["method"], lines[2]["route"], lines[2]["status"]})
	require.NotContains(t, s.log.String(), "13812345678")

	const durations = "paidui_http_request_duration_seconds"
	require.EqualValues(t, 1, s.metric(t, durations, `"/v1/goods/:id"`, `"400"`))
	require.EqualValues(t, 1, s.metric(t, durations, `"unmatched"`, `"405"`, `"other"`))
	require.EqualValues(t, 3, s.metric(t, durations))
}

func TestTheLogHasWhatFailedOrWasSlow(t *testing.T) {
	t.Parallel()
	var usual *testenv.LogBuffer
	s := assembleEmbedded(t, func(o *options) {
		usual = &testenv.LogBuffer{}
		o.Logger = slog.New(slog.NewJSONHandler(usual, nil))
		o.Web = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) })
	})
	require.Equal(t, 200, s.Get("/v1/goods").Status)
	require.Empty(t, usual.String())
	require.Equal(t, 404, s.Get("/v1/goods/7").Status)
	require.True(t, contains(usual.String(), `"level":"INFO","msg":"request","method":"GET","route":"/v1/goods/:id","status":404`), usual)
	task := s.Post("/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2}}`, asOperator).TaskID
	require.Equal(t, 200, s.Get("/v1/tasks/"+task+"?wait=1s").Status)
	require.NotContains(t, usual.String(), "/v1/tasks", "who wants to wait is not slow")
	require.Equal(t, 200, s.Get("/slow").Status)
	require.True(t, contains(usual.String(), `"route":"page","status":200`), usual)
}

func TestTheLogHasASampleOfStrangersFailures(t *testing.T) {
	t.Parallel()
	var usual *testenv.LogBuffer
	s := assembleEmbedded(t, func(o *options) {
		usual = &testenv.LogBuffer{}
		o.Logger = slog.New(slog.NewJSONHandler(usual, nil))
	})
	const asked = 200
	for range asked {
		require.Equal(t, 404, s.Get("/v1/nothing").Status)
	}
	logged, seconds, leftOut := 0, map[string]int{}, 0.0
	for line := range strings.Lines(usual.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		logged++
		seconds[fields["time"].(string)[:len("2026-01-02T15:04:05")]]++
		if n, there := fields["left_out"].(float64); there {
			leftOut += n
		}
	}
	require.LessOrEqual(t, logged, 20*(len(seconds)+1))
	require.LessOrEqual(t, float64(logged)+leftOut, float64(asked))
	require.Positive(t, logged)

	before := strings.Count(usual.String(), "\n")
	const acts = 50
	for range acts {
		require.Equal(t, 404, s.Get("/v1/nothing/"+"x", asOperator).Status)
	}
	require.LessOrEqual(t, strings.Count(usual.String(), "\n")-before, acts)
	for range acts {
		require.Equal(t, 400, s.Get("/v1/tasks?zz=1", asOperator).Status)
	}
	require.GreaterOrEqual(t, strings.Count(usual.String(), `"route":"/v1/tasks"`), acts, "an operator's are all there")
}

func TestQueriesCanAskForIndentedAnswers(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	require.Equal(t, "{\"code\":100,\"msg\":\"OK\",\"data\":{\"status\":\"ok\"}}\n", string(s.Get("/healthz", inEnglish).Raw))
	require.Contains(t, string(s.Get("/healthz?pretty", inEnglish).Raw), "{\n  \"code\": 100,\n")
}

func TestMethodNotAllowedSaysWhatIs(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	a := s.Do(http.MethodPatch, "/v1/goods", nil)
	require.Equal(t, 405, a.Code)
	require.True(t, contains(a.Header.Get("Allow"), "GET", "POST"), a.Header.Get("Allow"))
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for _, path := range []string{"/v1/goods", "/v1/nothing"} {
		h := s.Get(path).Header
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'")
		require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'")
		require.Equal(t, "no-store", h.Get("Cache-Control"))
		require.Empty(t, h.Get("Access-Control-Allow-Origin"))
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for given, want := range map[string]string{
		"": "zh-CN", "*": "zh-CN", "fr": "zh-CN", "zh-TW": "zh-CN", "en": "en", "en-US,zh;q=0.5": "en",
		"zh,en;q=0.9": "zh-CN", "fr,en;q=0.1": "en", "not a language": "zh-CN",
	} {
		require.Equal(t, want, s.Get("/v1/nothing", header("Accept-Language", given)).Header.Get("Content-Language"), "%.40s", given)
	}
}

func TestTheStandardLanguageIsASetting(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) { o.Language = "en" })
	for given, want := range map[string]string{"": "en", "*": "en", "fr": "en", "zh-TW": "zh-CN", "en": "en", "fr,zh;q=0.1": "zh-CN"} {
		require.Equal(t, want, s.Get("/v1/nothing", header("Accept-Language", given)).Header.Get("Content-Language"), given)
	}
	_, err := server.New(server.Options{Language: "fr"})
	require.ErrorContains(t, err, `"fr" as Language is neither zh nor en`)
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) { o.CORSOrigins = []string{"https://shop.example.com"} })
	friend, stranger := header("Origin", "https://shop.example.com"), header("Origin", "https://evil.example.com")
	a := s.Get("/v1/goods", friend)
	require.Equal(t, "https://shop.example.com", a.Header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, a.Header.Get("Access-Control-Expose-Headers"), "X-Request-Id")
	require.Empty(t, s.Get("/v1/goods", stranger).Header.Get("Access-Control-Allow-Origin"))
	ask := s.Do(http.MethodOptions, "/v1/seckill", nil, friend,
		header("Access-Control-Request-Method", "POST"), header("Access-Control-Request-Headers", "authorization,content-type"))
	require.Equal(t, http.StatusNoContent, ask.Status)
	require.Contains(t, ask.Header.Get("Access-Control-Allow-Headers"), "Authorization")
}

func TestOnlyTrustedProxiesNameTheClient(t *testing.T) {
	t.Parallel()
	forwarded := header("X-Forwarded-For", "203.0.113.9, 198.51.100.7, 10.1.1.1")
	tests := map[string]struct {
		proxies []string
		want    string
	}{
		"none trusted":        {nil, "127.0.0.1"},
		"others trusted":      {[]string{"10.0.0.0/8"}, "127.0.0.1"},
		"the peer trusted":    {[]string{"127.0.0.1/32"}, "10.1.1.1"},
		"a chain trusted":     {[]string{"127.0.0.0/8", "10.0.0.0/8"}, "198.51.100.7"},
		"IPv6 is no obstacle": {[]string{"::1/128", "127.0.0.1/32", "10.0.0.0/8"}, "198.51.100.7"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := assembleEmbedded(t, func(o *options) {
				for _, p := range test.proxies {
					o.TrustedProxies = append(o.TrustedProxies, netip.MustParsePrefix(p))
				}
			})
			s.Get("/v1/goods", forwarded)
			require.Equal(t, test.want, s.logged(t)[0]["ip"])
		})
	}
}

func TestAPanicIsAnInternalErrorWithItsStackInTheLog(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) {
		o.Web = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret detail") })
	})
	a := s.Get("/anything")
	require.Equal(t, 500, a.Code)
	require.Contains(t, a.Msg, a.Header.Get("X-Request-ID"))
	require.NotContains(t, string(a.Raw), "secret detail")
	require.True(t, contains(s.log.String(), "secret detail", "http_middleware_test.go", "handler panicked"))
}

func TestWithoutAPageTheFirstIsTheDocs(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	require.Equal(t, s.Get("/docs").Raw, s.Get("/").Raw, "it leads there")
	require.Equal(t, 404, s.Get("/nothing").Code)
	require.Equal(t, 404, s.Post("/", "{}").Code)
}

func TestPage(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		switch r.URL.Path {
		case "/":
			_, _ = w.Write([]byte("<title>排队</title>"))
		case "/app.js":
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("X-Page", "yes")
			http.Error(w, "plain", http.StatusNotFound)
		}
	})
	s := assembleEmbedded(t, func(o *options) { o.Web = page })
	index := s.Get("/")
	require.Equal(t, []any{200, "<title>排队</title>"}, []any{index.Status, string(index.Raw)})
	require.Equal(t, []string{"default-src 'self'"}, index.Header.Values("Content-Security-Policy"))
	require.Equal(t, http.StatusNotModified, s.Get("/app.js").Status)
	require.Equal(t, http.StatusOK, s.Do(http.MethodHead, "/", nil).Status)
	for _, path := range []string{"/v1/nothing", "/nothing.js"} {
		a := s.Get(path)
		require.Equal(t, 404, a.Code)
		require.Empty(t, a.Header.Get("X-Page"))
		require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'")
	}
	require.Equal(t, 404, s.Post("/", "{}").Code)
	require.Equal(t, 405, s.Post("/healthz", "{}").Code)
	require.Equal(t, "page", s.logged(t)[0]["route"])
}
