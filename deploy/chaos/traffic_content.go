package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// set notes that a value was written, or may have been.
func (g *generator) set(kind, key, value string, a answer) {
	g.book.enter(func(b *book) {
		b.writes = append(b.writes, write{
			Kind: kind, Key: key, Value: value, Verdict: a.verdict(), Begun: a.begun, Ended: a.ended,
		})
	})
}

func (g *generator) changeProfile(ctx context.Context, q request) {
	u := g.users[q.user]
	defer g.turn(fmt.Sprint("profile", u.id)).Unlock()
	value := g.name(q)
	a := g.send(ctx, q, http.MethodPut, "/v1/user", u.token, map[string]any{q.variant: value})
	g.set("profile", fmt.Sprintf("%d.%s", u.id, q.variant), value, a)
}

func (g *generator) changeFollowing(ctx context.Context, q request) {
	u := g.users[q.user]
	if q.target == q.user {
		q.target = (q.target + 1) % len(g.users)
	}
	defer g.turn(fmt.Sprint("following", u.id)).Unlock()
	method := http.MethodPost
	if q.variant == "unfollow" {
		method = http.MethodDelete
	}
	target := g.users[q.target].id
	a := g.send(ctx, q, method, fmt.Sprint("/v1/followings/", target), u.token, nil)
	g.set("following", fmt.Sprintf("%d>%d", u.id, target), q.variant, a)
}

// publish makes an article, whose title no other has. It is written once.
func (g *generator) publish(ctx context.Context, q request) {
	u, title := g.users[q.user], g.name(q)
	a := g.send(ctx, q, http.MethodPost, "/v1/articles", u.token, map[string]any{"title": title, "content": "text of " + title})
	g.set("article", title, strconv.FormatInt(u.id, 10), a)
	var made struct{ ID int64 }
	if a.into(&made) == nil {
		g.mu.Lock()
		g.articles = append(g.articles, made.ID)
		g.mu.Unlock()
	}
}

// deletedBanner stands for whatever a deleted banner was.
const deletedBanner = "deleted"

func bannerValue(title string, shown bool) string { return fmt.Sprintf("%s, shown %t", title, shown) }

// changeBanner makes a banner or changes one of those that were made. All of it is done by one operator, in turn.
func (g *generator) changeBanner(ctx context.Context, q request) {
	defer g.turn("banners").Unlock()
	title, shown := g.name(q), q.variant != "hide"
	body := map[string]any{"title": title, "image": "/media/banner-1.svg", "link": "", "orders": q.value, "is_show": shown}
	if q.variant == "create" || len(g.banners) == 0 {
		body["is_show"] = true
		a := g.send(ctx, q, http.MethodPost, "/v1/banners", operatorKey, body)
		var made struct{ ID int64 }
		if a.into(&made) == nil {
			g.banners = append(g.banners, made.ID)
			g.set("banner", strconv.FormatInt(made.ID, 10), bannerValue(title, true), a)
		}
		return
	}
	i := q.value % len(g.banners)
	id := g.banners[i]
	path, key := fmt.Sprint("/v1/banners/", id), strconv.FormatInt(id, 10)
	if q.variant == "delete" {
		a := g.send(ctx, q, http.MethodDelete, path, operatorKey, nil)
		g.set("banner", key, deletedBanner, a)
		if a.verdict() == accepted || a.verdict() == unknown {
			g.banners = slices.Delete(g.banners, i, i+1)
		}
		return
	}
	a := g.send(ctx, q, http.MethodPut, path, operatorKey, body)
	g.set("banner", key, bannerValue(title, shown), a)
}
