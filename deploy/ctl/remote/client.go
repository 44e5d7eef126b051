// Package remote asks an API of Paidui over HTTP, as the operator's commands do.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxAnswer is the size of the largest answer that is read, in bytes.
const maxAnswer = 64 << 20

// standardTimeout is how long a request takes at most whose caller says nothing.
const standardTimeout = 30 * time.Second

// Client asks one API. It is for concurrent use.
type Client struct {
	access   Access
	language string // Accept-Language
	agent    string // User-Agent
	http     *http.Client
}

// Options are of a Client.
type Options struct {
	Access   Access
	Language string // zh or en
	Agent    string // of the command, with its version
}

// New makes a client. Close ends what it holds.
func New(o Options) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &Client{
		access: o.Access, language: o.Language, agent: o.Agent,
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// URL is the API's.
func (c *Client) URL() string { return c.access.URL }

// Request is one to the API.
type Request struct {
	Method  string
	Path    string // its parts escaped: see Path
	Query   url.Values
	Body    any           // as JSON; nil for none
	Timeout time.Duration // 0 is 30 s

	lastEvent string // the id of the last event that was got; "" for none
}

// Path joins the parts of a path, each of them escaped.
func Path(parts ...string) string {
	path := ""
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// Answer is the API's.
type Answer struct {
	Code     int             `json:"code"`
	Msg      string          `json:"msg"`
	Data     json.RawMessage `json:"data"`
	TaskID   string          `json:"task_id"`
	Field    string          `json:"field"`
	Warnings []Warning       `json:"warnings"`
}

// Warning is what the caller should know of a task that was made all the same.
type Warning struct {
	Code string `json:"code"`
	Msg  string `json:"msg"`
}

// Refused is the code of an answer by which the business says no.
const Refused = 101

// Decode reads the answer's data.
func (a Answer) Decode(into any) error {
	if err := json.Unmarshal(a.Data, into); err != nil {
		return fmt.Errorf("the API's answer is not as expected: %w; is it of another version?", err)
	}
	return nil
}

// Do sends a request. An answer with an error of HTTP is an *APIError; none is an *UnreachableError, or the context's error.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = standardTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	resp, err := c.send(ctx, r, "application/json")
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Answer{}, c.unreachable(ctx, err)
	case len(body) > maxAnswer:
		return Answer{}, fmt.Errorf("the answer to %s %s is larger than %d bytes: ask for less", r.Method, r.Path, maxAnswer)
	case resp.StatusCode != http.StatusOK:
		return Answer{}, c.apiError(resp, body)
	}
	var a Answer
	if err := json.Unmarshal(body, &a); err != nil || a.Code == 0 {
		return Answer{}, fmt.Errorf("%s answers %s with something other than Paidui's JSON: is it a Paidui API?", c.access.URL, r.Path)
	}
	return a, nil
}

// Get asks for a path, and decodes the data into something.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	a, err := c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: query})
	if err != nil {
		return err
	}
	return a.Decode(into)
}

func (c *Client) send(ctx context.Context, r Request, accept string) (*http.Response, error) {
	var body io.Reader
	if r.Body != nil {
		encoded, err := json.Marshal(r.Body)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
		}
		body = bytes.NewReader(encoded)
	}
	address := c.access.URL + r.Path
	if len(r.Query) > 0 {
		address += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Accept-Language", c.language)
	req.Header.Set("User-Agent", c.agent)
	if c.access.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.access.Key)
	}
	if r.lastEvent != "" {
		req.Header.Set("Last-Event-ID", r.lastEvent)
	}
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return resp, nil
}

// unreachable is what a failed request comes to. The end of the caller's context is told as such.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		if errors.Is(cause, context.Canceled) {
			return cause
		}
		err = cause
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) { // it names the method and the whole address
		err = wrapped.Err
	}
	return &UnreachableError{URL: c.access.URL, err: err}
}

// apiError reads an answer of HTTP that is none of success.
func (c *Client) apiError(resp *http.Response, body []byte) error {
	e := &APIError{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-ID"), access: c.access}
	if location := resp.Header.Get("Location"); resp.StatusCode/100 == 3 && location != "" {
		e.Msg = fmt.Sprintf("%s leads elsewhere, to %s: set %s to where the API itself is", c.access.URL, location, URLVariable)
		return e
	}
	var a Answer
	if json.Unmarshal(body, &a) == nil {
		e.Msg, e.Field = a.Msg, a.Field
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
