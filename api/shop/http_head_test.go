package shop_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	id := s.Post("/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"countdown":3600}`, asOperator).TaskID
	head := func(path string, more ...with) answer { return s.Do(http.MethodHead, path, nil, more...) }
	for _, path := range []string{"/v1/goods", "/v1/banners", "/home/banner/", "/healthz", "/docs", "/docs/openapi.yaml", "/v1/tasks/" + id, "/v1/goods/1"} {
		get, got := s.Get(path), head(path)
		require.Equal(t, get.Status, got.Status, path)
		for _, name := range []string{"Content-Type", "Cache-Control", "Etag", "Content-Language"} {
			require.Equal(t, get.Header.Get(name), got.Header.Get(name), "%s %s", path, name)
		}
	}
	require.Equal(t, http.StatusUnauthorized, head("/v1/orders").Status)
	require.Equal(t, http.StatusBadRequest, head("/v1/goods?zz=1").Status)
	require.Equal(t, http.StatusNotFound, head("/v1/nothing").Status)
	waited := head("/v1/tasks/" + id + "?wait=1s")
	require.Equal(t, http.StatusOK, waited.Status)
	require.NotEqual(t, "0", waited.Header.Get("Content-Length"))
	events := head("/v1/tasks/" + id + "/events")
	require.Equal(t, []any{http.StatusOK, "text/event-stream"}, []any{events.Status, events.Header.Get("Content-Type")})

	refused := head("/user/send_sms?mobile=13812345678")
	require.Equal(t, http.StatusMethodNotAllowed, refused.Status, "it sends")
	require.Contains(t, refused.Header.Get("Allow"), http.MethodGet)
}

func TestContentEncodings(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for _, coding := range []string{"gzip", "deflate", "br", "gzip, identity"} {
		a := s.Post("/v1/sms", `{"mobile":"13812345678"}`, header("Content-Encoding", coding))
		require.Equal(t, []any{415, "Content-Encoding"}, []any{a.Code, a.Field}, "%s", a.Raw)
		require.Contains(t, a.Msg, "Content-Encoding")
	}
	require.Equal(t, 100, s.Post("/v1/sms", `{"mobile":"13812345678"}`, header("Content-Encoding", "identity")).Code)
}

func TestErrorsOfTheRouterWearTheEnvelope(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for method, allow := range map[string]string{http.MethodDelete: "GET", http.MethodPatch: "POST", "BREW": "GET"} {
		a := s.Do(method, "/v1/goods", nil)
		require.Equal(t, http.StatusMethodNotAllowed, a.Code, "%s", a.Raw)
		require.Contains(t, strings.Split(a.Header.Get("Allow"), ", "), allow)
	}
	for _, path := range []string{"/nothing", "/v1/", "/v1/task-types/x", "/docs/nothing", "//"} {
		require.Equal(t, http.StatusNotFound, s.Get(path).Code, path)
	}
}
