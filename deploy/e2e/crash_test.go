package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// TestSaleSurvivesCrashes kills an API, a worker and Redis in the middle of a sale. Redis keeps every write and comes
// back; users whose request failed ask again. In the end every piece has one order, and every ticket its outcome.
func TestSaleSurvivesCrashes(t *testing.T) {
	c := startCluster(t, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always"))
	tokens := c.logIn(t, 2*pieces)
	g := c.putOnSale(t, "the sale of the crashes", pieces)
	survivor := c.apis[1].url

	var answered atomic.Int32
	var crash sync.Once
	answers := make([]envelope, len(tokens))
	inParallel(len(tokens), func(i int) {
		api := c.apis[i%2].url
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			a, err := call(ctx, http.MethodPost, api+"/v1/seckill", tokens[i], map[string]any{"goods_id": g.ID})
			if err != nil || a.status >= 500 {
				api = survivor
				return false
			}
			answers[i] = a
			if answered.Add(1) > pieces/4 {
				crash.Do(func() {
					c.apis[0].kill(t)
					c.workers[0].kill(t)
					c.redis.Kill()
					c.redis.Start()
				})
			}
			return true
		}, time.Minute, 50*time.Millisecond, "user %d gets no answer", i)
	})
	c.apis, c.workers = c.apis[1:], c.workers[1:]

	tickets := map[string]bool{}
	for _, a := range answers {
		require.Contains(t, []int{100, 101}, a.Code, a.Msg)
		if a.TaskID != "" { // 100, or 101 when the request that was not answered has become an order since
			tickets[a.TaskID] = true
		}
	}
	require.Len(t, tickets, pieces)
	// The dead worker's tasks come back when a living one has taken them over.
	for id := range tickets {
		require.Eventually(t, func() bool {
			a, err := call(t.Context(), http.MethodGet, survivor+"/v1/seckill?task_id="+id, "", nil)
			if err != nil || a.status >= 500 {
				return false
			}
			require.Contains(t, []int{100, 102, 103}, a.Code, a.Msg)
			return a.Code == 100
		}, 4*time.Minute, 200*time.Millisecond, "ticket %s", id)
	}
	must(t, http.MethodGet, fmt.Sprintf("%s/v1/goods/%d", survivor, g.ID), "", nil).into(t, &g)
	require.Zero(t, g.Stock)
}
