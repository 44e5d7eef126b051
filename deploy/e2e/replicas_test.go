// Package e2e tests the programs as processes, from outside, as their users do.
package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

const schedules = `
timezone: Asia/Shanghai
schedules:
  - name: every-second
    task: demo.low
    args: {n: 3, m: 1}
    every: 1s
  - name: seckill-reconcile
    task: seckill.reconcile
    every: 5s
`

// cluster is two of each program on private servers.
type cluster struct {
	redis                     *testenv.RedisServer
	apis, workers, schedulers []*program
}

func startCluster(t *testing.T, opts ...testenv.RedisOption) *cluster {
	t.Helper()
	return startClusterOn(t, testenv.MySQL(t), opts...)
}

func startClusterOn(t *testing.T, databaseURL string, opts ...testenv.RedisOption) *cluster {
	t.Helper()
	bin := build(t)
	file := filepath.Join(t.TempDir(), "schedules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(schedules), 0o600))
	redis := testenv.Redis(t, opts...)
	env := []string{
		"PAIDUI_BROKER_URL=" + redis.URL(1),
		"PAIDUI_CACHE_URL=" + redis.URL(2),
		"PAIDUI_DATABASE_URL=" + databaseURL,
		"PAIDUI_JWT_SECRET=" + jwtSecret,
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
		"PAIDUI_SMS_PER_ADDRESS=10000",
		"PAIDUI_SMS_PER_MINUTE_ALL=0",
		"PAIDUI_SCHEDULES=" + file,
	}
	c := &cluster{redis: redis}
	// Workers and schedulers start first: the order does not matter.
	for i := range 2 {
		c.workers = append(c.workers, start(t, filepath.Join(bin, "worker"), fmt.Sprint("worker", i), env))
		c.schedulers = append(c.schedulers, start(t, filepath.Join(bin, "scheduler"), fmt.Sprint("scheduler", i), env))
	}
	for i := range 2 {
		c.apis = append(c.apis, start(t, filepath.Join(bin, "api"), fmt.Sprint("api", i), env))
	}
	for _, p := range c.all() {
		p.awaitReady(t)
	}
	return c
}

func (c *cluster) all() []*program {
	return append(append(append([]*program(nil), c.apis...), c.workers...), c.schedulers...)
}

// api spreads clients over the API's replicas.
func (c *cluster) api(i int) string { return c.apis[i%len(c.apis)].url }

// TestReplicas walks through the three jobs against two of each program, kills one of each, and walks again.
func TestReplicas(t *testing.T) {
	c := startCluster(t)
	tokens := c.logIn(t, 200)

	c.flashSale(t, "first sale", tokens)
	c.changeBanner(t, "before the kill")
	c.observeTicks(t)

	for _, group := range []*[]*program{&c.apis, &c.workers, &c.schedulers} {
		(*group)[0].kill(t)
		*group = (*group)[1:]
	}
	c.changeBanner(t, "after the kill")
	c.flashSale(t, "second sale", tokens)
	c.observeTicks(t)
	c.logIn(t, 1)

	for _, p := range c.all() {
		p.terminate(t)
	}
}

var nextMobile = struct {
	sync.Mutex
	n int
}{n: 13900000000}

// logIn makes n users log in at the same time, each with the code that was sent to the number.
func (c *cluster) logIn(t *testing.T, n int) (tokens []string) {
	t.Helper()
	nextMobile.Lock()
	first := nextMobile.n
	nextMobile.n += n
	nextMobile.Unlock()
	tokens = make([]string, n)
	inParallel(n, func(i int) {
		mobile := fmt.Sprint(first + i)
		api := c.api(i)
		sent := must(t, http.MethodPost, api+"/v1/sms", "", map[string]any{"mobile": mobile})
		outcome := must(t, http.MethodGet, api+"/v1/tasks/"+sent.TaskID+"?wait=30s", "", nil)
		var task struct{ State, Result string }
		outcome.into(t, &task)
		require.Equal(t, "SUCCESS", task.State)
		require.Equal(t, mobile+"的短信发送成功", task.Result)
		var messages []struct{ Mobile, Code string }
		must(t, http.MethodGet, api+"/v1/outbox?mobile="+mobile, operatorKey, nil).into(t, &messages)
		require.Len(t, messages, 1)
		var session struct{ Token string }
		must(t, http.MethodPost, api+"/v1/login", "", map[string]any{"mobile": mobile, "code": messages[0].Code}).into(t, &session)
		tokens[i] = session.Token
	})
	for _, p := range c.all() {
		require.NotContains(t, p.log.String(), fmt.Sprint(first), "a whole number in the log of %s", p.name)
	}
	return tokens
}

// flashSale sells 50 pieces to all users at once.
func (c *cluster) flashSale(t *testing.T, name string, tokens []string) {
	t.Helper()
	goods := c.putOnSale(t, name, pieces)
	answers := make([]envelope, len(tokens))
	inParallel(len(tokens), func(i int) {
		answers[i] = must(t, http.MethodPost, c.api(i)+"/v1/seckill", tokens[i], map[string]any{"goods_id": goods.ID})
	})
	winners := map[string]int{} // user's index by task id
	for i, a := range answers {
		switch a.Code {
		case 100:
			require.NotEmpty(t, a.TaskID)
			require.NotContains(t, winners, a.TaskID)
			winners[a.TaskID] = i
		case 101:
			require.Empty(t, a.TaskID)
		default:
			t.Fatalf("code %d: %s", a.Code, a.Msg)
		}
	}
	require.Len(t, winners, pieces)
	orders := map[string]bool{}
	for id, i := range winners {
		var order struct {
			OrderNo string `json:"order_no"`
		}
		require.Eventually(t, func() bool {
			a := must(t, http.MethodGet, c.api(i)+"/v1/seckill?task_id="+id, "", nil)
			require.Contains(t, []int{100, 102, 103}, a.Code, a.Msg)
			if a.Code == 100 {
				a.into(t, &order)
			}
			return a.Code == 100
		}, 2*time.Minute, 20*time.Millisecond, "order of task %s", id)
		require.NotEmpty(t, order.OrderNo)
		require.False(t, orders[order.OrderNo], "two orders of one number")
		orders[order.OrderNo] = true
		again := must(t, http.MethodPost, c.api(i+1)+"/v1/seckill", tokens[i], map[string]any{"goods_id": goods.ID})
		require.Equal(t, id, again.TaskID, "the same user asks again")
		var own []struct {
			GoodsID int64 `json:"goods_id"`
		}
		must(t, http.MethodGet, c.api(i)+"/v1/orders", tokens[i], nil).into(t, &own)
		bought := 0
		for _, o := range own {
			if o.GoodsID == goods.ID {
				bought++
			}
		}
		require.Equal(t, 1, bought)
	}
	must(t, http.MethodGet, fmt.Sprintf("%s/v1/goods/%d", c.api(1), goods.ID), "", nil).into(t, &goods)
	require.Zero(t, goods.Stock)
}

type goods struct{ ID, Stock int64 }

const pieces = 50

func (c *cluster) putOnSale(t *testing.T, name string, pieces int) (g goods) {
	t.Helper()
	must(t, http.MethodPost, c.api(0)+"/v1/goods", operatorKey, map[string]any{
		"name": name, "price": 9900, "stock": pieces,
		"starts_at": time.Now().Add(-time.Minute).UTC().Format(time.RFC3339),
		"ends_at":   time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	}).into(t, &g)
	return g
}

// changeBanner writes a banner through one replica and sees it in all.
func (c *cluster) changeBanner(t *testing.T, title string) {
	t.Helper()
	banner := map[string]any{"title": title, "image": "/media/banner-1.svg", "link": "https://example.com/", "orders": 1, "is_show": true}
	var row struct{ ID int64 }
	must(t, http.MethodPost, c.api(0)+"/v1/banners", operatorKey, banner).into(t, &row)
	titles := func(i int) string {
		var list []struct{ Title, Image string }
		must(t, http.MethodGet, c.api(i)+"/v1/banners", "", nil).into(t, &list)
		var all []string
		for _, b := range list {
			require.True(t, strings.HasPrefix(b.Image, "http://"), b.Image)
			all = append(all, b.Title)
		}
		return strings.Join(all, "|")
	}
	sees := func(title string) {
		for i := range c.apis {
			require.Eventually(t, func() bool { return strings.Contains(titles(i), title) }, time.Minute, 10*time.Millisecond, title)
		}
	}
	sees(title)
	banner["title"] = title + ", changed"
	must(t, http.MethodPut, fmt.Sprintf("%s/v1/banners/%d", c.api(1), row.ID), operatorKey, banner)
	sees(title + ", changed")
	must(t, http.MethodDelete, fmt.Sprintf("%s/v1/banners/%d", c.api(1), row.ID), operatorKey, nil)
	for i := range c.apis {
		require.Eventually(t, func() bool { return !strings.Contains(titles(i), title) }, time.Minute, 10*time.Millisecond)
	}
}

// observeTicks counts what a schedule of one second makes the workers run in some ten seconds. A run at the edge of that
// time may fall into it, or not.
func (c *cluster) observeTicks(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return c.ran(t, "demo.low") > 0 }, 30*time.Second, 20*time.Millisecond)
	before, begun := c.ran(t, "demo.low"), time.Now()
	<-time.After(10 * time.Second)
	ticks := c.ran(t, "demo.low") - before
	took := time.Since(begun).Seconds()
	require.LessOrEqual(t, ticks, took+3, "each once, though there are two schedulers")
	require.GreaterOrEqual(t, ticks, took/2)
	var page struct {
		Schedules []struct {
			Name       string
			NextTick   time.Time `json:"next_tick"`
			LastTick   time.Time `json:"last_tick"`
			LastTaskID string    `json:"last_task_id"`
		}
	}
	must(t, http.MethodGet, c.api(0)+"/v1/schedules", operatorKey, nil).into(t, &page)
	list := page.Schedules
	require.Len(t, list, 2)
	require.Equal(t, "every-second", list[0].Name)
	require.WithinDuration(t, time.Now(), list[0].LastTick, 20*time.Second)
	require.True(t, list[0].NextTick.After(list[0].LastTick))
	must(t, http.MethodGet, c.api(0)+"/v1/tasks/"+list[0].LastTaskID, "", nil)
}

// ran is how many runs of a task the workers' metrics tell of.
func (c *cluster) ran(t *testing.T, task string) (n float64) {
	t.Helper()
	for _, w := range c.workers {
		resp, err := http.Get(w.admin + "/metrics")
		require.NoError(t, err)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		for _, m := range families["paidui_task_duration_seconds"].GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "task" && l.GetValue() == task {
					n += float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	return n
}

// inParallel runs f(0) to f(n-1) at the same time. A failed requirement in f ends its goroutine and the test fails.
func inParallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
