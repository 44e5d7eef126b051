// Package servertest has a client for tests of programs that stand on api/server: it speaks to the API over HTTP and holds
// every answer against the contract.
package servertest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"
)

// Client speaks to the API and holds every answer against the contract.
type Client struct {
	T    testing.TB
	Base string // the API's address, to which paths are added
	HTTP *http.Client

	contract *openapi3.T
	router   routers.Router
}

// New makes a client of the API at an address, with its contract: that of Server.OpenAPI, or what it serves at
// /docs/openapi.yaml.
func New(t testing.TB, base string, contract []byte) *Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	read, err := readContract(contract)
	require.NoError(t, err)
	return &Client{T: t, Base: base, HTTP: &http.Client{Transport: transport}, contract: read.contract, router: read.router}
}

// contracts are those that were read, by their text: reading one takes longer than most tests, which mostly have the same.
var contracts sync.Map

type readOnce struct {
	once     sync.Once
	contract *openapi3.T
	router   routers.Router
	err      error
}

func readContract(text []byte) (*readOnce, error) {
	entry, _ := contracts.LoadOrStore(string(text), new(readOnce))
	r := entry.(*readOnce)
	r.once.Do(func() {
		if r.contract, r.err = openapi3.NewLoader().LoadFromData(text); r.err != nil {
			return
		}
		if r.err = r.contract.Validate(context.Background(), openapi3.EnableExamplesValidation()); r.err != nil {
			return
		}
		r.contract.Servers = nil // which are of where it is served
		r.router, r.err = legacy.NewRouter(r.contract)
	})
	return r, r.err
}

// On is the same client for a subtest.
func (c *Client) On(t testing.TB) *Client {
	clone := *c
	clone.T = t
	return &clone
}

// Contract is the contract that the API serves. It must not be changed.
func (c *Client) Contract() *openapi3.T { return c.contract }

// Answer is what came back. Data is left as it is.
type Answer struct {
	Status int
	Header http.Header
	Raw    []byte

	Code     int             `json:"code"`
	Msg      string          `json:"msg"`
	Data     json.RawMessage `json:"data"`
	TaskID   string          `json:"task_id"`
	Field    string          `json:"field"`
	Warnings []Warning       `json:"warnings"`
}

// Warning is a problem of a task that was made nevertheless.
type Warning struct {
	Code string `json:"code"`
	Msg  string `json:"msg"`
}

// Into decodes Data.
func (a Answer) Into(t testing.TB, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.Data, v), "%s", a.Raw)
}

// With changes a request before it is sent.
type With func(*http.Request)

// Header sets a header.
func Header(name, value string) With { return func(r *http.Request) { r.Header.Set(name, value) } }

// Bearer sends a token.
func Bearer(token string) With { return Header("Authorization", "Bearer "+token) }

// InEnglish asks for answers in English.
func InEnglish(r *http.Request) { r.Header.Set("Accept-Language", "en-GB,en;q=0.9,zh;q=0.1") }

// Get makes a GET request.
func (c *Client) Get(path string, more ...With) Answer {
	c.T.Helper()
	return c.Do(http.MethodGet, path, nil, more...)
}

// Delete makes a DELETE request.
func (c *Client) Delete(path string, more ...With) Answer {
	c.T.Helper()
	return c.Do(http.MethodDelete, path, nil, more...)
}

// Post makes a POST request.
func (c *Client) Post(path string, body any, more ...With) Answer {
	c.T.Helper()
	return c.Do(http.MethodPost, path, body, more...)
}

// Put makes a PUT request.
func (c *Client) Put(path string, body any, more ...With) Answer {
	c.T.Helper()
	return c.Do(http.MethodPut, path, body, more...)
}

// Do makes one request. A body that is no string is sent as JSON.
func (c *Client) Do(method, path string, body any, more ...With) Answer {
	c.T.Helper()
	sent := Encode(c.T, body)
	r, err := http.NewRequestWithContext(c.T.Context(), method, c.Base+path, bytes.NewReader(sent))
	require.NoError(c.T, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, m := range more {
		m(r)
	}
	response, err := c.HTTP.Do(r)
	require.NoError(c.T, err)
	raw, err := io.ReadAll(response.Body)
	require.NoError(c.T, err)
	require.NoError(c.T, response.Body.Close())
	a := Answer{Status: response.StatusCode, Header: response.Header, Raw: raw}
	c.Hold(r, sent, a)
	if method != http.MethodHead && strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		require.NoError(c.T, dec.Decode(&a), "%s", raw)
		require.Equal(c.T, a.Status >= 400, a.Code >= 400, "%s", raw)
		require.NotEmpty(c.T, a.Msg)
	}
	return a
}

// Encode is the body that Do sends.
func Encode(t testing.TB, body any) []byte {
	t.Helper()
	switch b := body.(type) {
	case nil:
		return nil
	case string:
		return []byte(b)
	}
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	return raw
}

// Hold checks an exchange against the contract: the answer always, the request when it succeeded. Do calls it.
func (c *Client) Hold(r *http.Request, sent []byte, a Answer) {
	c.T.Helper()
	base, err := url.Parse(c.Base)
	require.NoError(c.T, err)
	path, raw := strings.TrimPrefix(r.URL.Path, base.Path), strings.TrimPrefix(r.URL.RawPath, base.Path)
	documented := r.Clone(c.T.Context())
	documented.URL = &url.URL{Path: path, RawPath: raw, RawQuery: r.URL.RawQuery}
	documented.Body = io.NopCloser(bytes.NewReader(sent))
	head := r.Method == http.MethodHead
	if head {
		require.Empty(c.T, a.Raw)
		documented.Method = http.MethodGet // of which it gets the header
	}
	route, params, err := c.router.FindRoute(documented)
	for _, spelling := range []string{strings.TrimSuffix(path, "/"), path + "/"} {
		if err != nil {
			documented.URL.Path, documented.URL.RawPath = spelling, ""
			route, params, err = c.router.FindRoute(documented)
		}
	}
	if err != nil {
		if r.Method == http.MethodOptions { // a browser asks before the request itself
			return
		}
		require.False(c.T, a.Status < 300 && strings.HasPrefix(path, "/v1"), "%s %s is not in the contract", r.Method, path)
		return
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true,
		AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
		ExcludeResponseBody:   head || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json"),
	}
	request := &openapi3filter.RequestValidationInput{Request: documented, PathParams: params, Route: route, Options: options}
	if a.Status < 300 {
		require.NoError(c.T, openapi3filter.ValidateRequest(c.T.Context(), request), "%s %s %s", r.Method, r.URL, sent)
	}
	err = openapi3filter.ValidateResponse(c.T.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request,
		Status:                 a.Status,
		Header:                 a.Header,
		Body:                   io.NopCloser(bytes.NewReader(a.Raw)),
		Options:                options,
	})
	require.NoError(c.T, err, "%s %s answered %d %s", r.Method, r.URL, a.Status, a.Raw)
}

// UnknownLength sends the body without its length.
func UnknownLength(r *http.Request) {
	r.ContentLength = -1
	r.Body = io.NopCloser(io.MultiReader(r.Body))
}
