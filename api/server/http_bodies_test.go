package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConcurrentBodiesStayApart(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for k := range 10 {
				id := fmt.Sprintf("task-%d-%d", i, k)
				body := fmt.Sprintf(`{"id":%q,"task":"demo.add","args":{"n":%d,"m":%d}}`, id, i, k)
				if got := s.Post("/v1/tasks", body, asOperator); got.TaskID != id {
					t.Errorf("%s answered %s", id, got.Raw)
				}
			}
		})
	}
	all.Wait()
	for i := range 8 {
		for k := range 10 {
			var info struct{ Args json.RawMessage }
			s.Get(fmt.Sprintf("/v1/tasks/task-%d-%d", i, k), asOperator).Into(t, &info)
			require.JSONEq(t, fmt.Sprintf(`{"n":%d,"m":%d}`, i, k), string(info.Args))
		}
	}
}

func TestBodiesOfUnknownLength(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	post := func(body string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Base+"/v1/tasks", io.MultiReader(strings.NewReader(body)))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		asOperator(r)
		response, err := s.HTTP.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	body := `{"task":"demo.add","args":{"n":1,"m":2}}`
	require.Equal(t, 200, post(body))
	require.Equal(t, 400, post(body[:20]))
	require.Equal(t, 413, post(body+strings.Repeat(" ", 64<<10)))
}
