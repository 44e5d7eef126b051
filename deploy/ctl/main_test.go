package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// noon is the tests' now.
var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// fakeAPI answers as the contract says, by method and path.
type fakeAPI struct {
	*httptest.Server
	mu       sync.Mutex
	routes   map[string]func(r request) answer
	requests []request
}

// request is one that came.
type request struct {
	line   string // method and path
	query  string
	body   string
	header http.Header
	write  func(string) // a piece of a stream, at once
}

// answer is a status, and data or the text of an error; of a stream nothing.
type answer struct {
	status int
	code   int
	msg    string
	data   string
	taskID string
	field  string
	header map[string]string
	stream bool
}

func data(text string) func(request) answer {
	return func(request) answer { return answer{data: text} }
}

func newFakeAPI(t *testing.T) *fakeAPI {
	f := &fakeAPI{routes: make(map[string]func(request) answer)}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) on(line string, handler func(request) answer) *fakeAPI {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.routes[line] = handler
	return f
}

// got are the requests that came, each as method, path, query and body.
func (f *fakeAPI) got() (lines []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		line := r.line
		if r.query != "" {
			line += "?" + r.query
		}
		lines = append(lines, strings.TrimSpace(line+" "+r.body))
	}
	return lines
}

func (f *fakeAPI) serve(w http.ResponseWriter, hr *http.Request) {
	body, _ := io.ReadAll(hr.Body)
	r := request{line: hr.Method + " " + hr.URL.EscapedPath(), query: hr.URL.RawQuery, body: string(body), header: hr.Header}
	r.write = func(text string) {
		_, _ = io.WriteString(w, text)
		w.(http.Flusher).Flush()
	}
	f.mu.Lock()
	f.requests = append(f.requests, r)
	handler := f.routes[r.line]
	f.mu.Unlock()
	if handler == nil {
		handler = func(request) answer { return answer{status: http.StatusNotFound, msg: "there is no such route"} }
	}
	a := handler(r)
	if a.stream {
		return
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	envelope := map[string]any{"code": a.code, "msg": a.msg, "data": nil}
	switch {
	case a.status != 0:
		envelope["code"] = a.status
	case a.code == 0:
		envelope["code"], a.status = 100, http.StatusOK
	default:
		a.status = http.StatusOK
	}
	if a.data != "" {
		envelope["data"] = json.RawMessage(a.data)
	}
	if a.taskID != "" {
		envelope["task_id"] = a.taskID
	}
	if a.field != "" {
		envelope["field"] = a.field
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(envelope)
}

// shell runs command lines.
type shell struct {
	env      map[string]string
	in       string
	terminal bool // input, output and errors are one
	width    int
	ctx      context.Context
}

// ran is what a command line has come to.
type ran struct {
	out, err string
	status   int
}

func (f *fakeAPI) shell() shell {
	return shell{env: map[string]string{remote.URLVariable: f.URL, remote.KeyVariable: "the-key", "LANG": "en_US.UTF-8"}}
}

func (s shell) with(name, value string) shell {
	s.env = maps.Clone(s.env)
	s.env[name] = value
	return s
}

func (s shell) run(t *testing.T, args ...string) ran {
	t.Helper()
	var out, errOut bytes.Buffer
	lookup := func(name string) (string, bool) { v, ok := s.env[name]; return v, ok }
	root := &cobra.Command{Use: "paidui", Version: "v1.2.3", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(commands(environment{
		lookup: lookup,
		now:    func() time.Time { return noon },
		terminal: func(*cobra.Command) show.Terminal {
			return show.Terminal{
				Out: &out, Err: &errOut, In: strings.NewReader(s.in), IsOut: s.terminal, IsErr: s.terminal, IsIn: s.terminal,
				Width: func() int { return s.width }, Height: func() int { return 24 },
			}
		},
	})...)
	root.SetOut(&out)
	root.SetErr(&errOut)
	root.SetArgs(args)
	ctx := s.ctx
	if ctx == nil {
		ctx = t.Context()
	}
	err := root.ExecuteContext(ctx)
	r := ran{out: out.String(), err: errOut.String()}
	if err != nil {
		r.status = 1
		var status interface{ ExitStatus() int }
		if errors.As(err, &status) {
			r.status = status.ExitStatus()
		}
		if err.Error() != "" {
			r.err += "paidui: " + err.Error() + "\n"
		}
	}
	return r
}

// ok requires success, and returns the output.
func (r ran) ok(t *testing.T) string {
	t.Helper()
	require.Zero(t, r.status, r.err)
	return r.out
}
