package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// answer is what came back for a request.
type answer struct {
	Code   int             `json:"code"`
	Msg    string          `json:"msg"`
	Field  string          `json:"field"`
	TaskID string          `json:"task_id"`
	Data   json.RawMessage `json:"data"`

	status       int
	retryAfter   time.Duration
	err          error // of the connection
	begun, ended time.Time
}

func (a answer) verdict() verdict {
	var dial *net.OpError
	switch {
	case a.err != nil && errors.As(a.err, &dial) && dial.Op == "dial":
		return refused
	case a.err != nil, a.status >= 500:
		return unknown
	case a.status >= 400:
		return refused
	case a.Code == 101:
		return declined
	}
	return accepted
}

// outcome is the verdict in words, for the figures.
func (a answer) outcome() string {
	switch v := a.verdict(); {
	case a.err != nil && v == refused:
		return "no connection"
	case a.err != nil:
		return "no answer"
	case a.status >= 400:
		return strconv.Itoa(a.status)
	default:
		return string(v)
	}
}

// ask is a request.
type ask struct {
	kind   string // for the figures
	method string
	path   string
	bearer string
	user   int // whose address it comes from
	body   any
	serial int // of the plan's request, 0 without
}

// clients ask the APIs in turn, from an address of each user's own. They are safe for concurrent use.
type clients struct {
	urls []string
	http *http.Client
	log  io.Writer

	mu   sync.Mutex
	next int
}

const askLimit = 15 * time.Second

func newClients(urls []string, log io.Writer) *clients {
	return &clients{urls: urls, log: log, http: &http.Client{
		Timeout:   askLimit,
		Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 10 * time.Second},
	}}
}

// any is the URL of the API whose turn it is.
func (c *clients) any() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	return c.urls[c.next%len(c.urls)]
}

// send makes one request, and notes it in the log and, where there is a book, in its figures.
func (c *clients) send(ctx context.Context, b *book, q ask) answer {
	a := c.sendTo(ctx, c.any(), q)
	if b != nil {
		b.count(q.kind, a.outcome())
		if a.status == http.StatusInternalServerError {
			b.enter(func(b *book) {
				b.odd = append(b.odd, oddity{a.begun, "no internal errors", fmt.Sprintf("%s %s: 500 %s", q.method, q.path, a.Msg)})
			})
		}
	}
	return a
}

func (c *clients) sendTo(ctx context.Context, base string, q ask) (a answer) {
	a.begun = time.Now()
	defer func() {
		a.ended = time.Now()
		c.note(base, q, a)
	}()
	req, err := newRequest(ctx, base, q)
	if err != nil {
		a.err = err
		return a
	}
	resp, err := c.http.Do(req)
	if err != nil {
		a.err = err
		return a
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		a.retryAfter = time.Duration(s) * time.Second
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		a.err = fmt.Errorf("read the answer: %w", err)
	}
	return a
}

func newRequest(ctx context.Context, base string, q ask) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		raw, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, base+q.path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.1.%d.%d", q.user/250, q.user%250+1))
	if q.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+q.bearer)
	}
	return req, nil
}

// note writes a line of the log, for whoever looks into a finding.
func (c *clients) note(base string, q ask, a answer) {
	line := struct {
		At     time.Time `json:"at"`
		TookMS int64     `json:"took_ms"`
		Serial int       `json:"serial,omitempty"`
		API    string    `json:"api"`
		Method string    `json:"method"`
		Path   string    `json:"path"`
		User   int       `json:"user"`
		Body   any       `json:"body,omitempty"`
		Status int       `json:"status,omitempty"`
		Answer *answer   `json:"answer,omitempty"`
		Error  string    `json:"error,omitempty"`
	}{a.begun, a.ended.Sub(a.begun).Milliseconds(), q.serial, base, q.method, q.path, q.user, q.body, a.status, nil, ""}
	if a.err != nil {
		line.Error = a.err.Error()
	} else {
		line.Answer = &a
	}
	raw, err := json.Marshal(line)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.log.Write(append(raw, '\n')) // a log that is full hides nothing from the judge
}

// pause waits, and is false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
