package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/profiles"
)

// view is what one API answers to everybody.
type view struct {
	API        string
	Banners    []banners.Banner
	Profiles   map[int64]profiles.Public
	Articles   map[int64]articles.Article
	Counts     map[int64]counts
	Followings map[int64]map[int64]time.Time // of those who are enrolled: whom, and since when
	Totals     map[int64]int                 // how many they follow, as it says
	Rankings   map[string][]ranked
}

type counts struct{ Articles, Followings, Followers int64 }

type ranked struct {
	Count int64
	User  struct{ ID int64 }
}

// rankings are their names.
var rankings = []string{"articles", "followings", "followers"}

// askAPIs asks for everything that the judge compares.
func (e *evidence) askAPIs(ctx context.Context, l *lab, b *book, users []user) error {
	e.Tasks, e.Tickets = make(map[string]task), make(map[string]outcome)
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, id := range b.taskIDs() {
		group.Go(func() error {
			t, found, err := findTask(ctx, l, id)
			if err != nil || !found {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			e.Tasks[id] = t
			return nil
		})
	}
	for _, t := range b.tickets {
		group.Go(func() error {
			o, err := findOutcome(ctx, l, t.TaskID)
			mu.Lock()
			defer mu.Unlock()
			e.Tickets[t.TaskID] = o
			return err
		})
	}
	for _, api := range l.clients.urls {
		group.Go(func() error {
			v, err := e.look(ctx, l, api, users)
			mu.Lock()
			defer mu.Unlock()
			e.Views = append(e.Views, v)
			return err
		})
	}
	return group.Wait()
}

// taskIDs are those of all tasks that clients know of.
func (b *book) taskIDs() (ids []string) {
	for _, c := range b.calls {
		ids = append(ids, c.ID)
	}
	for _, t := range b.texts {
		ids = append(ids, t.TaskID)
	}
	return ids
}

// get asks until there is an answer that is no 5xx and no 429, for a while.
func (l *lab) get(ctx context.Context, api, path, bearer string) (a answer) {
	for range 30 {
		base := api
		if base == "" {
			base = l.clients.any()
		}
		a = l.clients.sendTo(ctx, base, ask{method: http.MethodGet, path: path, bearer: bearer, user: 999})
		if a.err == nil && a.status < 500 && a.status != http.StatusTooManyRequests {
			return a
		}
		if !pause(ctx, max(time.Second, min(a.retryAfter, 5*time.Second))) {
			break
		}
	}
	if a.err == nil {
		a.err = fmt.Errorf("GET %s: status %d: %s", path, a.status, a.Msg)
	}
	return a
}

func findTask(ctx context.Context, l *lab, id string) (t task, found bool, err error) {
	a := l.get(ctx, "", "/v1/tasks/"+url.PathEscape(id), operatorKey)
	if a.err == nil && a.status == http.StatusNotFound {
		return t, false, nil
	}
	t, err = taskOf(a)
	return t, err == nil, err
}

func findOutcome(ctx context.Context, l *lab, id string) (outcome, error) {
	a := l.get(ctx, "", "/v1/seckill?task_id="+url.QueryEscape(id), "")
	return outcomeOf(a), a.err
}

// look asks one API for all rows.
func (e *evidence) look(ctx context.Context, l *lab, api string, users []user) (view, error) {
	v := view{
		API: api, Profiles: make(map[int64]profiles.Public), Articles: make(map[int64]articles.Article),
		Counts: make(map[int64]counts), Followings: make(map[int64]map[int64]time.Time), Totals: make(map[int64]int),
		Rankings: make(map[string][]ranked),
	}
	if err := l.get(ctx, api, "/v1/banners", "").into(&v.Banners); err != nil {
		return v, fmt.Errorf("ask for the banners: %w", err)
	}
	for _, u := range e.Users {
		var p profiles.Public
		if err := l.get(ctx, api, fmt.Sprint("/v1/users/", u.ID), "").into(&p); err != nil {
			return v, fmt.Errorf("ask for user %d: %w", u.ID, err)
		}
		var c counts
		if err := l.get(ctx, api, fmt.Sprintf("/v1/users/%d/count", u.ID), "").into(&c); err != nil {
			return v, fmt.Errorf("ask for the counts of user %d: %w", u.ID, err)
		}
		v.Profiles[u.ID], v.Counts[u.ID] = p, c
	}
	for _, row := range e.Articles {
		var a articles.Article
		if err := l.get(ctx, api, fmt.Sprint("/v1/articles/", row.ID), "").into(&a); err != nil {
			return v, fmt.Errorf("ask for article %d: %w", row.ID, err)
		}
		v.Articles[row.ID] = a
	}
	for _, name := range rankings {
		var list []ranked
		if err := l.get(ctx, api, "/v1/rankings/"+name+"?top=1000", "").into(&list); err != nil {
			return v, fmt.Errorf("ask for the ranking by %s: %w", name, err)
		}
		v.Rankings[name] = list
	}
	for _, u := range users {
		if err := v.readFollowings(ctx, l, u); err != nil {
			return v, err
		}
	}
	return v, nil
}

func (v *view) readFollowings(ctx context.Context, l *lab, u user) error {
	all := make(map[int64]time.Time)
	for page := 1; ; page++ {
		var list struct {
			Total      int
			Followings []struct {
				ID         int64
				FollowedAt time.Time `json:"followed_at"`
			}
		}
		a := l.get(ctx, v.API, fmt.Sprintf("/v1/followings?per_page=100&page=%d", page), u.token)
		if err := a.into(&list); err != nil {
			return fmt.Errorf("ask for the followings of user %d: %w", u.id, err)
		}
		for _, f := range list.Followings {
			all[f.ID] = f.FollowedAt
		}
		v.Totals[u.id] = list.Total
		if len(list.Followings) < 100 {
			break
		}
	}
	v.Followings[u.id] = all
	return nil
}

// decodeCached reads a cached value; none is false when the key stands for a row that is not there.
func decodeCached(text string, into any) (none bool, err error) {
	if text == "-1" {
		return true, nil
	}
	return false, json.Unmarshal([]byte(text), into)
}
