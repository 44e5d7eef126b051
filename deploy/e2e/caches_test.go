package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// counts are those of a user.
type counts struct{ Articles, Followings, Followers int }

// TestCachesOnARedisCluster has the caches on a cluster, of which a primary dies.
func TestCachesOnARedisCluster(t *testing.T) {
	bin, nodes := build(t), testenv.RedisNodes(t, 3, true)
	env := []string{
		"PAIDUI_BROKER_URL=" + testenv.RedisURL(t),
		"PAIDUI_CACHE_URL=" + nodes.URL(),
		"PAIDUI_DATABASE_URL=" + testenv.MySQL(t),
		"PAIDUI_JWT_SECRET=" + jwtSecret,
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
		"PAIDUI_SMS_PER_ADDRESS=10000",
		"PAIDUI_SMS_PER_MINUTE_ALL=0",
	}
	c := &cluster{}
	for i := range 2 {
		c.apis = append(c.apis, start(t, filepath.Join(bin, "api"), fmt.Sprint("api", i), env))
	}
	c.workers = []*program{start(t, filepath.Join(bin, "worker"), "worker", env)}
	for _, p := range c.all() {
		p.awaitReady(t)
	}

	tokens := c.logIn(t, 5)
	ids := make([]int64, len(tokens))
	for i, token := range tokens {
		var user struct{ ID int64 }
		must(t, http.MethodGet, c.api(i)+"/v1/user", token, nil).into(t, &user)
		ids[i] = user.ID
	}
	follow := func(from, whom int) {
		must(t, http.MethodPost, fmt.Sprintf("%s/v1/followings/%d", c.api(from), ids[whom]), tokens[from], nil)
	}
	publish := func(user, api int) (article struct{ ID int64 }) {
		must(t, http.MethodPost, c.api(api)+"/v1/articles", tokens[user], map[string]any{"title": "title", "content": "text"}).into(t, &article)
		return article
	}
	c.runTask(t, "refresh.counters") // from now on Redis counts
	article := publish(0, 0)
	publish(0, 1)
	for i := range 4 {
		follow(i+1, 0)
	}
	c.requireCounts(t, ids[0], counts{Articles: 2, Followers: 4})
	c.requireFirst(t, "articles", ids[0], 2)
	c.requireFirst(t, "followers", ids[0], 4)

	nodes.Await(t.Context())
	nodes.Servers[0].Kill()
	for i := range c.apis {
		for _, path := range []string{
			fmt.Sprintf("/v1/users/%d", ids[0]), fmt.Sprintf("/v1/users/%d/count", ids[1]),
			fmt.Sprintf("/v1/articles/%d", article.ID), "/v1/rankings/articles", "/v1/rankings/followers", "/v1/banners",
		} {
			must(t, http.MethodGet, c.api(i)+path, "", nil)
		}
	}
	for i := range 4 { // lists of which some were on the primary
		follow(0, i+1)
		follow(i+1, (i+1)%4+1)
	}
	publish(0, 1)
	c.requireCounts(t, ids[0], counts{3, 4, 4})
	for i, token := range tokens {
		var list struct{ Total int }
		must(t, http.MethodGet, c.api(i)+"/v1/followings", token, nil).into(t, &list)
		want := 2
		if i == 0 {
			want = 4
		}
		require.Equal(t, want, list.Total)
	}
	c.runTask(t, "refresh.counters") // once a replica has the place
	c.runTask(t, "refresh.followings")
	c.requireCounts(t, ids[0], counts{3, 4, 4})
	c.requireFirst(t, "articles", ids[0], 3)
	for _, p := range c.all() {
		p.terminate(t)
	}
}

func (c *cluster) counts(t *testing.T, api int, user int64) (got counts) {
	t.Helper()
	must(t, http.MethodGet, fmt.Sprintf("%s/v1/users/%d/count", c.api(api), user), "", nil).into(t, &got)
	return got
}

func (c *cluster) requireCounts(t *testing.T, user int64, want counts) {
	t.Helper()
	for i := range c.apis {
		require.Eventually(t, func() bool { return c.counts(t, i, user) == want }, time.Minute, 50*time.Millisecond)
	}
}

// requireFirst awaits that all know who leads a ranking, which may be a second old.
func (c *cluster) requireFirst(t *testing.T, kind string, user int64, count int) {
	t.Helper()
	for i := range c.apis {
		require.Eventually(t, func() bool {
			var places []struct {
				Count int
				User  struct{ ID int64 }
			}
			must(t, http.MethodGet, c.api(i)+"/v1/rankings/"+kind, "", nil).into(t, &places)
			return len(places) > 0 && places[0].User.ID == user && places[0].Count == count
		}, time.Minute, 100*time.Millisecond, kind)
	}
}

// runTask runs one without arguments, and returns when it has ended well.
func (c *cluster) runTask(t *testing.T, name string) {
	t.Helper()
	made := must(t, http.MethodPost, c.api(0)+"/v1/tasks", operatorKey, map[string]any{"task": name, "args": map[string]any{}})
	var task struct{ State string }
	require.Eventually(t, func() bool {
		must(t, http.MethodGet, c.api(0)+"/v1/tasks/"+made.TaskID+"?wait=10s", "", nil).into(t, &task)
		return task.State == "SUCCESS"
	}, 2*time.Minute, 100*time.Millisecond, name)
}
