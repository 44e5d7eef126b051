package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/paidui/paidui/models/shop"
)

// readUsers is how many users' profiles are read.
const readUsers = 1000

// measureCacheNear reads what the API has in its own memory; measureCacheRedis what it has in Redis alone.
func measureCacheNear(ctx context.Context, l *lab) ([]measurement, error) {
	return measureReads(ctx, l)
}
func measureCacheRedis(ctx context.Context, l *lab) ([]measurement, error) {
	return measureReads(ctx, l, "PAIDUI_CACHE_NEAR=0")
}

// measureReads gives for banners and for users: requests a second, and microseconds of the CPU for a request.
func measureReads(ctx context.Context, l *lab, settings ...string) ([]measurement, error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	if err := l.addReaders(ctx); err != nil {
		return nil, err
	}
	api, err := l.startAPI(ctx, settings...)
	if err != nil {
		return nil, err
	}
	var all []measurement
	for _, path := range []string{"/v1/banners", "/v1/users/"} {
		got, err := l.compareReads(ctx, api, path)
		if err != nil {
			return nil, err
		}
		all = append(all, got...)
	}
	return all, nil
}

// compareReads measures the API and an empty handler that answers as many bytes, by turns.
func (l *lab) compareReads(ctx context.Context, api *child, path string) ([]measurement, error) {
	example := path
	if path == "/v1/users/" {
		example += "1"
	}
	size, err := answerSize(ctx, api.url+example)
	if err != nil {
		return nil, err
	}
	if _, err := l.get(ctx, api.url+path, readUsers, time.Second); err != nil { // all are cached
		return nil, err
	}
	echo, err := l.startEcho(ctx, strconv.Itoa(size))
	if err != nil {
		return nil, err
	}
	cost := make(map[*child][]float64) // µs of CPU a request
	measure := func(c *child) measureOnce {
		return func(ctx context.Context) (float64, error) {
			before, err := c.cpu()
			if err != nil {
				return 0, err
			}
			got, err := l.get(ctx, c.url+path, readUsers, l.httpTime())
			if ctx.Err() != nil {
				return 0, context.Cause(ctx)
			}
			if err != nil {
				return 0, err
			}
			after, err := c.cpu()
			if err != nil {
				return 0, err
			}
			cost[c] = append(cost[c], (after-before)*1e6/float64(max(got.Requests, 1)))
			return got.rate(), nil
		}
	}
	rate, err := alternate(ctx, l.rounds(), measure(api), measure(echo))
	if err != nil {
		return nil, err
	}
	return []measurement{rate, {median(cost[api]), median(cost[echo])}}, nil
}

// addReaders makes users 1 to readUsers and three banners, unless they are there.
func (l *lab) addReaders(ctx context.Context) error {
	db, err := l.openShop(ctx)
	if err != nil {
		return err
	}
	defer closeShop(db)
	db = db.WithContext(ctx)
	var there int64
	if err := db.Model(&shop.Banner{}).Count(&there).Error; err != nil || there > 0 {
		return err
	}
	banners := make([]shop.Banner, 3)
	for i := range banners {
		banners[i] = shop.Banner{
			Title: fmt.Sprintf("轮播图 %d", i+1), Image: fmt.Sprintf("/media/banner-%d.svg", i+1), Link: "/goods/1", Orders: i, IsShow: true,
		}
	}
	if err := db.Create(&banners).Error; err != nil {
		return fmt.Errorf("add banners: %w", err)
	}
	users := make([]shop.User, readUsers)
	for i := range users {
		users[i] = shop.User{
			ID: int64(i + 1), Mobile: fmt.Sprintf("138%08d", i), Name: fmt.Sprintf("用户 %d", i),
			Photo: fmt.Sprintf("/media/users/%d.jpg", i), Intro: "在排队，不着急。 Standing in a queue, at ease.",
		}
	}
	if err := db.CreateInBatches(&users, 500).Error; err != nil {
		return fmt.Errorf("add users: %w", err)
	}
	return nil
}

// answerSize is how many bytes the body of an answer has.
func answerSize(ctx context.Context, url string) (int, error) {
	body, err := fetch(ctx, http.DefaultClient, url)
	return len(body), err
}
