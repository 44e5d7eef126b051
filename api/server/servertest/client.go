package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"
)

// client speaks to the API and holds every answer against the contract.
type client struct {
	t        testing.TB
	base     string
	http     *http.Client
	contract routers.Router
}

func newClient(t testing.TB, base string) *client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	router, err := legacy.NewRouter(loadContract(t))
	require.NoError(t, err)
	return &client{t: t, base: base, http: &http.Client{Transport: transport}, contract: router}
}

// on is the same client for a subtest.
func (c *client) on(t *testing.T) *client {
	clone := *c
	clone.t = t
	return &clone
}

func loadContract(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context(), openapi3.EnableExamplesValidation()))
	return doc
}

// answer is what came back. Data is left as it is.
type answer struct {
	status int
	header http.Header
	raw    []byte

	Code   int             `json:"code"`
	Msg    string          `json:"msg"`
	Data   json.RawMessage `json:"data"`
	TaskID string          `json:"task_id"`
	Field  string          `json:"field"`

	Warnings []warning `json:"warnings"`
}

// into decodes Data.
func (a answer) into(t *testing.T, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.Data, v), "%s", a.raw)
}

type with func(*http.Request)

func header(name, value string) with { return func(r *http.Request) { r.Header.Set(name, value) } }

func bearer(token string) with { return header("Authorization", "Bearer "+token) }

func asOperator(r *http.Request) { bearer(operatorKey)(r) }

var inEnglish = header("Accept-Language", "en-GB,en;q=0.9,zh;q=0.1")

// get, post, put and del make one request. A body that is no string is sent as JSON.
func (c *client) get(path string, more ...with) answer {
	return c.do(http.MethodGet, path, nil, more...)
}
func (c *client) del(path string, more ...with) answer {
	return c.do(http.MethodDelete, path, nil, more...)
}
func (c *client) post(path string, body any, more ...with) answer {
	return c.do(http.MethodPost, path, body, more...)
}
func (c *client) put(path string, body any, more ...with) answer {
	return c.do(http.MethodPut, path, body, more...)
}

func (c *client) do(method, path string, body any, more ...with) answer {
	c.t.Helper()
	sent := encode(c.t, body)
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, bytes.NewReader(sent))
	require.NoError(c.t, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, m := range more {
		m(r)
	}
	response, err := c.http.Do(r)
	require.NoError(c.t, err)
	raw, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	require.NoError(c.t, response.Body.Close())
	a := answer{status: response.StatusCode, header: response.Header, raw: raw}
	c.hold(r, sent, a)
	if method != http.MethodHead && strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		require.NoError(c.t, dec.Decode(&a), "%s", raw)
		require.Equal(c.t, a.status >= 400, a.Code >= 400, "%s", raw)
		require.NotEmpty(c.t, a.Msg)
	}
	return a
}

func encode(t testing.TB, body any) []byte {
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

// hold checks the exchange against the contract: the answer always, the request when it succeeded.
func (c *client) hold(r *http.Request, sent []byte, a answer) {
	c.t.Helper()
	documented := r.Clone(c.t.Context())
	documented.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	documented.Body = io.NopCloser(bytes.NewReader(sent))
	head := r.Method == http.MethodHead
	if head {
		require.Empty(c.t, a.raw)
		documented.Method = http.MethodGet // of which it gets the header
	}
	route, params, err := c.contract.FindRoute(documented)
	for _, spelling := range []string{strings.TrimSuffix(r.URL.Path, "/"), r.URL.Path + "/"} {
		if err != nil {
			documented.URL.Path, documented.URL.RawPath = spelling, ""
			route, params, err = c.contract.FindRoute(documented)
		}
	}
	if err != nil {
		if r.Method == http.MethodOptions { // a browser asks before the request itself
			return
		}
		require.False(c.t, a.status < 300 && strings.HasPrefix(r.URL.Path, "/v1"), "%s %s is not in the contract", r.Method, r.URL.Path)
		return
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true,
		AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
		ExcludeResponseBody:   head || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json"),
	}
	request := &openapi3filter.RequestValidationInput{Request: documented, PathParams: params, Route: route, Options: options}
	if a.status < 300 {
		require.NoError(c.t, openapi3filter.ValidateRequest(c.t.Context(), request), "%s %s %s", r.Method, r.URL, sent)
	}
	err = openapi3filter.ValidateResponse(c.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request,
		Status:                 a.status,
		Header:                 a.header,
		Body:                   io.NopCloser(bytes.NewReader(a.raw)),
		Options:                options,
	})
	require.NoError(c.t, err, "%s %s answered %d %s", r.Method, r.URL, a.status, a.raw)
}
