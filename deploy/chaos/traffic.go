package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// user is somebody who has logged in.
type user struct {
	index  int
	id     int64
	mobile string
	token  string
}

// generator does the requests of one act.
type generator struct {
	lab   *lab
	book  *book
	seed  uint64
	users []user

	mu       sync.Mutex
	turns    map[string]*sync.Mutex
	banners  []int64 // that were made, and are not deleted
	articles []int64
}

func newGenerator(l *lab, seed uint64, users []user) *generator {
	return &generator{lab: l, book: newBook(), seed: seed, users: users, turns: make(map[string]*sync.Mutex)}
}

// maxInFlight is how many requests are under way or followed up at most; beyond it the plan is late.
const maxInFlight = 500

// run does an act's requests and returns when the last has its answer. Their clients stop asking what became of them
// when the act is over.
func (g *generator) run(ctx context.Context, a act) {
	over, cancel := context.WithTimeout(ctx, a.length)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(maxInFlight)
	begun := time.Now()
	for _, q := range a.requests {
		if !pause(ctx, time.Until(begun.Add(q.at))) {
			break
		}
		group.Go(func() error {
			g.do(ctx, over, q)
			return nil
		})
	}
	_ = group.Wait() // they return none
}

// do does one request, which goes on beyond the act's end, and follows it up until then.
func (g *generator) do(ctx, over context.Context, q request) {
	switch q.kind {
	case "sms":
		g.text(ctx, over, q)
	case "seckill":
		g.press(ctx, over, q)
	case "banner":
		g.changeBanner(ctx, q)
	case "profile":
		g.changeProfile(ctx, q)
	case "following":
		g.changeFollowing(ctx, q)
	case "article":
		g.publish(ctx, q)
	case "task":
		g.callTask(ctx, over, q)
	case "read":
		g.read(ctx, q)
	}
}

// send makes a request of q's user. Where the API asks for patience, it has some, once.
func (g *generator) send(ctx context.Context, q request, method, path, bearer string, body any) answer {
	k := ask{kind: q.kind, method: method, path: path, bearer: bearer, user: q.user, body: body, serial: q.serial}
	a := g.lab.clients.send(ctx, g.book, k)
	if a.status == http.StatusTooManyRequests && pause(ctx, min(max(a.retryAfter, time.Second), 5*time.Second)) {
		a = g.lab.clients.send(ctx, g.book, k)
	}
	return a
}

// turn makes those who write the same wait for each other. The caller unlocks it.
func (g *generator) turn(name string) *sync.Mutex {
	g.mu.Lock()
	t := g.turns[name]
	if t == nil {
		t = new(sync.Mutex)
		g.turns[name] = t
	}
	g.mu.Unlock()
	t.Lock()
	return t
}

// name is what a request's things are called.
func (g *generator) name(q request) string { return fmt.Sprintf("chaos-%d-%d", g.seed, q.serial) }

// read reads what anybody may read. What it is told is not judged, but for internal errors.
func (g *generator) read(ctx context.Context, q request) {
	id := g.users[q.target].id
	g.mu.Lock()
	article := int64(1)
	if len(g.articles) > 0 {
		article = g.articles[q.value%len(g.articles)]
	}
	g.mu.Unlock()
	path, bearer := "", ""
	switch q.variant {
	case "banners":
		path = "/v1/banners"
	case "profile":
		path = fmt.Sprint("/v1/users/", id)
	case "article":
		path = fmt.Sprint("/v1/articles/", article)
	case "count":
		path = fmt.Sprintf("/v1/users/%d/count", id)
	case "followings":
		path, bearer = "/v1/followings", g.users[q.user].token
	case "goods":
		path = "/v1/goods"
	case "ranking":
		path = "/v1/rankings/articles"
	case "history":
		path, bearer = "/v1/tasks?task="+url.QueryEscape("demo.add"), operatorKey
	}
	g.send(ctx, q, http.MethodGet, path, bearer, nil)
}

// prepare puts the act's goods on sale.
func (g *generator) prepare(ctx context.Context, a act) error {
	for i, stock := range a.sales {
		made := g.lab.clients.send(ctx, nil, ask{method: http.MethodPost, path: "/v1/goods", bearer: operatorKey, body: map[string]any{
			"name": fmt.Sprintf("%s %d of %d", a.name, i, g.seed), "price": 9900, "stock": stock,
			"starts_at": time.Now().Add(-time.Minute).UTC().Format(time.RFC3339),
			"ends_at":   time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339),
		}})
		var row struct{ ID int64 }
		if err := made.into(&row); err != nil {
			return fmt.Errorf("put goods on sale: %w", err)
		}
		g.book.sales = append(g.book.sales, sale{GoodsID: row.ID, Stock: int64(stock)})
	}
	return nil
}
