package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hibiken/asynq"
)

// httpTime is how long one load lasts.
func (l *lab) httpTime() time.Duration { return time.Duration(l.pick(6, 2)) * time.Second }

func measureHTTPTasks(ctx context.Context, l *lab) (measurement, error) {
	servers, err := l.startServers(ctx)
	if err != nil {
		return measurement{}, err
	}
	key := l.file("operator")
	if err := os.WriteFile(key, []byte(operatorKey+"\n"), 0o600); err != nil {
		return measurement{}, err
	}
	posting := load{body: `{"task":"demo.add","args":{"n":10,"m":20}}`, tokens: key}
	return servers.compare(ctx, l, func(base string) measureOnce {
		return func(ctx context.Context) (float64, error) {
			got, err := l.postFor(ctx, base+"/v1/tasks", posting)
			if err != nil || base != servers.api {
				return got.rate(), err
			}
			return got.rate(), l.checkQueued(ctx, "default", got.Requests)
		}
	})
}

func measureHTTPSoldOut(ctx context.Context, l *lab) ([]measurement, error) {
	servers, err := l.startServers(ctx)
	if err != nil {
		return nil, err
	}
	body, err := l.newSale(ctx, 0)
	if err != nil {
		return nil, err
	}
	users, err := l.writeTokens("users", 1, 1000)
	if err != nil {
		return nil, err
	}
	var redis []float64
	posting := load{body: body, tokens: users}
	soldOut, err := servers.compare(ctx, l, func(base string) measureOnce {
		return func(ctx context.Context) (float64, error) {
			if base == servers.echo {
				got, err := l.postFor(ctx, base+"/v1/seckill", posting)
				return got.rate(), err
			}
			if err := expectAnswer(ctx, base, body, "sold_out"); err != nil {
				return 0, err
			}
			var got posted
			n, err := l.commandsDuring(ctx, func() (err error) {
				got, err = l.postFor(ctx, base+"/v1/seckill", posting)
				return err
			})
			if err != nil {
				return 0, err
			}
			redis = append(redis, float64(n)/float64(got.Requests))
			return got.rate(), expectAnswer(ctx, base, body, "sold_out")
		}
	})
	return []measurement{soldOut, {value: median(redis)}}, err
}

func measureHTTPAdmitted(ctx context.Context, l *lab) (measurement, error) {
	servers, err := l.startServers(ctx)
	if err != nil {
		return measurement{}, err
	}
	const usersPerSecond = 50_000 // more than can be served
	users := usersPerSecond * int(l.httpTime().Seconds())
	file, err := l.writeTokens("users", 1, users)
	if err != nil {
		return measurement{}, err
	}
	return servers.compare(ctx, l, func(base string) measureOnce {
		return func(ctx context.Context) (float64, error) {
			body, err := l.newSale(ctx, users)
			if err != nil {
				return 0, err
			}
			got, err := l.postFor(ctx, base+"/v1/seckill", load{body: body, tokens: file})
			if err != nil || base == servers.echo {
				return got.rate(), err
			}
			if got.Requests > users {
				return 0, fmt.Errorf("%d requests of %d users: they were not all new", got.Requests, users)
			}
			return got.rate(), l.checkQueued(ctx, "seckill", got.Requests)
		}
	})
}

// servers are the API and the empty Echo handler, each a process of its own.
type servers struct{ api, echo string }

func (l *lab) startServers(ctx context.Context) (servers, error) {
	if err := l.flush(ctx); err != nil {
		return servers{}, err
	}
	api, err := l.startAPI(ctx)
	if err != nil {
		return servers{}, err
	}
	echo, err := l.startEcho(ctx)
	if err != nil {
		return servers{}, err
	}
	return servers{api.url, echo.url}, nil
}

// compare measures both by turns.
func (s servers) compare(ctx context.Context, l *lab, measure func(base string) measureOnce) (measurement, error) {
	return alternate(ctx, l.rounds(), measure(s.api), measure(s.echo))
}

func (l *lab) postFor(ctx context.Context, url string, o load) (posted, error) {
	o.url, o.limit = url, l.httpTime()
	got, err := l.post(ctx, o)
	if ctx.Err() != nil {
		return got, context.Cause(ctx)
	}
	return got, err
}

func (p posted) rate() float64 {
	if p.Seconds == 0 {
		return 0
	}
	return float64(p.Requests) / p.Seconds
}

// checkQueued checks that each of the requests left one task, and empties Redis. Requests that were under way when
// wrk stopped are not counted by it, and may have left a task or not.
func (l *lab) checkQueued(ctx context.Context, queue string, requests int) error {
	redis, err := asynq.ParseRedisURI(l.redisURL(brokerDB))
	if err != nil {
		return err
	}
	inspector := asynq.NewInspector(redis)
	defer inspector.Close()
	info, err := inspector.GetQueueInfo(queue)
	if err != nil {
		return err
	}
	if extra := info.Size - requests; extra < 0 || extra > wrkConnections {
		return fmt.Errorf("%d requests were accepted, and queue %s holds %d tasks", requests, queue, info.Size)
	}
	return l.flush(ctx)
}

// newSale puts goods on sale and returns the body of a request for them.
func (l *lab) newSale(ctx context.Context, pieces int) (body string, err error) {
	db, err := l.openShop(ctx)
	if err != nil {
		return "", err
	}
	defer closeShop(db)
	id, err := putOnSale(ctx, db, pieces)
	return fmt.Sprintf(`{"goods_id":%d}`, id), err
}

// expectAnswer posts once as a user and looks for the reason in the answer, none being "".
func expectAnswer(ctx context.Context, base, body, reason string) error {
	bearer, err := token(1)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/seckill", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Data struct {
			Reason string `json:"reason_code"`
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Data.Reason != reason {
		return fmt.Errorf("POST /v1/seckill: the answer should say %q: %s %s", reason, resp.Status, text)
	}
	return nil
}
