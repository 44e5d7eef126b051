package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/following"
)

const (
	follower       = 1 // who follows so many
	followPerPage  = 20
	followLastPage = following.Bound / followPerPage
)

// measureFollowings asks the API for the last page of a list as long as Redis keeps one, and by turns for the first; and
// it gives the time of the request that has the list loaded.
func measureFollowings(ctx context.Context, l *lab) ([]measurement, error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	if err := l.addReaders(ctx); err != nil {
		return nil, err
	}
	if err := l.addFollowings(ctx); err != nil {
		return nil, err
	}
	api, err := l.startAPI(ctx)
	if err != nil {
		return nil, err
	}
	bearer, err := token(follower)
	if err != nil {
		return nil, err
	}
	pages := followPages{client: &http.Client{Timeout: time.Minute}, api: api.url, bearer: bearer}
	defer pages.client.CloseIdleConnections()
	loading, err := pages.time(ctx, 1)
	if err != nil {
		return nil, err
	}
	var first, last []float64
	for range l.pick(5000, 500) {
		for page, list := range map[int]*[]float64{1: &first, followLastPage: &last} {
			took, err := pages.time(ctx, page)
			if err != nil {
				return nil, err
			}
			*list = append(*list, took)
		}
	}
	return []measurement{{median(last), median(first)}, {value: loading}}, nil
}

// followPages asks for pages of a list, one after the other.
type followPages struct {
	client      *http.Client
	api, bearer string
}

// time is how long a page takes, in ms.
func (p followPages) time(ctx context.Context, page int) (float64, error) {
	url := fmt.Sprintf("%s/v1/followings?page=%d&per_page=%d", p.api, page, followPerPage)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+p.bearer)
	begun := time.Now()
	answer, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	took := time.Since(begun)
	if err == nil && (answer.StatusCode != http.StatusOK || len(body) < followPerPage*len(`{"id":1,"name":"","photo":""}`)) {
		err = fmt.Errorf("GET %s answered %s %.200s", url, answer.Status, body)
	}
	return float64(took) / float64(time.Millisecond), err
}

// addFollowings has a user follow as many as Redis keeps. Those of the first and of the last page are users.
func (l *lab) addFollowings(ctx context.Context) error {
	db, err := l.openShop(ctx)
	if err != nil {
		return err
	}
	defer closeShop(db)
	db = db.WithContext(ctx)
	if err := db.Where("user_id = ?", follower).Delete(&shop.Following{}).Error; err != nil {
		return err
	}
	now := time.Now().UTC()
	rows := make([]shop.Following, following.Bound)
	for i := range rows {
		target := int64(i + 1_000_000)
		switch end := len(rows) - followPerPage; {
		case i < followPerPage:
			target = int64(i + follower + 1)
		case i >= end:
			target = int64(i - end + followPerPage + follower + 1)
		}
		rows[i] = shop.Following{UserID: follower, TargetID: target, CreatedAt: now.Add(-time.Duration(i) * time.Second)}
	}
	if err := db.CreateInBatches(rows, 5000).Error; err != nil {
		return fmt.Errorf("add followings: %w", err)
	}
	return nil
}
