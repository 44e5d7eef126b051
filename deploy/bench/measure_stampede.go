package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"gorm.io/gorm"
)

const (
	stampedeAPIs    = 3
	stampedeReaders = 1000
)

// measureStampede has 1,000 clients of three API processes ask for one user at the same moment, when no cache has him,
// and counts what the database is asked. It gives the most queries of all rounds, and the median of the times after which
// all had their answers.
func measureStampede(ctx context.Context, l *lab) (got []measurement, err error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	if err := l.addReaders(ctx); err != nil {
		return nil, err
	}
	apis := make([]*child, stampedeAPIs)
	for i := range apis {
		if apis[i], err = l.startAPI(ctx); err != nil {
			return nil, err
		}
	}
	db, err := l.openShop(ctx)
	if err != nil {
		return nil, err
	}
	defer closeShop(db)
	clients := newCrowdOfReaders(apis)
	defer clients.leave()
	var queries, took []float64
	for round := range l.pick(10, 3) {
		n, d, err := l.stampede(ctx, db, clients, fmt.Sprintf("/v1/users/%d", round+1))
		if err != nil {
			return nil, err
		}
		queries, took = append(queries, float64(n)), append(took, d.Seconds()*1000)
	}
	return []measurement{{value: percentile(queries, 1)}, {value: median(took)}}, nil
}

// stampede makes one. The path is one that nobody has asked for.
func (l *lab) stampede(ctx context.Context, db *gorm.DB, clients *readers, path string) (queries int, took time.Duration, err error) {
	if err := clients.askAll(ctx, "/healthz"); err != nil { // all are connected
		return 0, 0, err
	}
	seen, err := startQueryLog(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	err = clients.askAll(ctx, path)
	took = time.Since(began)
	queries, logErr := seen("users")
	return queries, took, errors.Join(err, logErr)
}

// startQueryLog has the server log statements. What it returns ends that, and tells how many of them read the table.
func startQueryLog(ctx context.Context, db *gorm.DB) (reads func(table string) (int, error), err error) {
	db = db.WithContext(ctx)
	for _, statement := range []string{"SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log = ON"} {
		if err := db.Exec(statement).Error; err != nil {
			return nil, fmt.Errorf("log the queries: %w", err)
		}
	}
	return func(table string) (n int, err error) {
		off := db.WithContext(context.WithoutCancel(ctx)).Exec("SET GLOBAL general_log = OFF").Error
		read := db.Raw("SELECT COUNT(*) FROM mysql.general_log WHERE command_type IN ('Query', 'Execute') AND argument LIKE ?",
			"SELECT%FROM `"+table+"`%").Scan(&n).Error
		return n, errors.Join(off, read)
	}, nil
}

// readers are clients, each with a connection of its own to one of the processes.
type readers struct {
	apis    []*child
	clients []*http.Client
}

func newCrowdOfReaders(apis []*child) *readers {
	r := &readers{apis: apis, clients: make([]*http.Client, stampedeReaders)}
	for i := range r.clients {
		r.clients[i] = &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: childPatience}
	}
	return r
}

func (r *readers) leave() {
	for _, c := range r.clients {
		c.CloseIdleConnections()
	}
}

// askAll has every client ask for the path, at the same time.
func (r *readers) askAll(ctx context.Context, path string) error {
	start := make(chan struct{})
	errs := make([]error, len(r.clients))
	var all sync.WaitGroup
	for i, c := range r.clients {
		all.Go(func() {
			<-start
			_, errs[i] = fetch(ctx, c, r.apis[i%len(r.apis)].url+path)
		})
	}
	close(start)
	all.Wait()
	return errors.Join(errs...)
}

// fetch gets the body of an answer that must be 200.
func fetch(ctx context.Context, c *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", url, resp.Status, body)
	}
	return body, err
}
