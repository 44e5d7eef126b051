package shop

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// TestPlainBodyReadsAsDecoded: what the short way accepts, the long way reads the same.
func TestPlainBodyReadsAsDecoded(t *testing.T) {
	type longWay seckillBody // without ReadPlain
	var decoded seckillBody
	known, err := tasks.NewCatalog()
	require.NoError(t, err)
	s, err := server.New(server.Options{
		Tasks: tasks.NewClient(taskstest.Embedded(t)), Catalog: known, OperatorKey: "a-key-of-the-tests", Logger: testenv.Quiet(),
		Application: server.Application{Routes: []server.Route{{
			Method: http.MethodPost, Path: "/decode", Body: true,
			Handler: func(c echo.Context) error {
				b, err := server.Body[longWay](c)
				if err != nil {
					return err
				}
				decoded = seckillBody(b)
				return server.OK(c, nil)
			},
		}}},
	})
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.OneOf(
			rapid.StringMatching(`\{"goods_id":[0-9]{1,20}\}`),
			rapid.StringMatching(`\{ ?"(goods_id|name|GOODS_ID)" ?: ?(-?[0-9]{1,20}|"[a-z1]{0,3}"|null|1e3|1\.0)(, ?"name":"x")? ?\}?`),
			rapid.String(),
		).Draw(t, "raw")
		var plain seckillBody
		if !plain.ReadPlain([]byte(raw)) {
			require.Zero(t, plain)
			return
		}
		r, w := httptest.NewRequest(http.MethodPost, "/decode", strings.NewReader(raw)), httptest.NewRecorder()
		r.Header.Set("Content-Type", "application/json")
		s.Handler().ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
		require.Equal(t, decoded, plain)
	})
	var b seckillBody
	require.True(t, b.ReadPlain([]byte(`{"goods_id":123456789012345678}`)))
	require.EqualValues(t, 123456789012345678, *b.GoodsID)
	require.False(t, b.ReadPlain([]byte(`{"goods_id":0}`)))
	require.False(t, b.ReadPlain([]byte(`{"goods_id":9223372036854775807}`)), "left to the long way")
}
