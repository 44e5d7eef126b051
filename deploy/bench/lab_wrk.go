package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

var (
	//go:embed post.lua
	postScript []byte
	//go:embed get.lua
	getScript []byte
)

const (
	wrkConnections = 128
	wrkThreads     = 2
	wrkPatience    = "10s" // for an answer
)

// load is a load of POST requests.
type load struct {
	url    string
	body   string
	tokens string        // a file with a bearer token a line, walked through
	once   bool          // stop after the last token instead of beginning again
	limit  time.Duration // how long to post, in whole seconds
}

// posted is what came of a load, be it of POST or of GET requests.
type posted struct {
	Requests int     // that were answered
	Seconds  float64 // that it took
	Refused  int     // answers of a status of 400 and above
	Broken   int     // connections that failed
	Late     int     // answers that took longer than a client waits
}

// post runs wrk until its time is over, or until ctx ends, which is no error.
func (l *lab) post(ctx context.Context, o load) (posted, error) {
	passes := "again"
	if o.once {
		passes = "once"
	}
	return l.wrk(ctx, "post.lua", postScript, o.url, o.limit, o.body, o.tokens, strconv.Itoa(wrkThreads), passes)
}

// get runs wrk on a URL or, where it ends in a slash, on the first so many below it: /1, /2 and so on.
func (l *lab) get(ctx context.Context, url string, below int, limit time.Duration) (posted, error) {
	return l.wrk(ctx, "get.lua", getScript, url, limit, strconv.Itoa(below))
}

// wrk runs a script with arguments, for whole seconds. That ctx ends is no error.
func (l *lab) wrk(ctx context.Context, name string, script []byte, url string, limit time.Duration, args ...string) (posted, error) {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		return posted{}, fmt.Errorf("wrk is not installed: run deploy/install-test-deps.sh bench, or install the package wrk")
	}
	file := l.file(name)
	if err := os.WriteFile(file, script, 0o600); err != nil {
		return posted{}, err
	}
	cmd := exec.CommandContext(ctx, wrk, append([]string{"-t", strconv.Itoa(wrkThreads), "-c", strconv.Itoa(wrkConnections),
		"--timeout", wrkPatience, "-d", fmt.Sprintf("%.0fs", limit.Seconds()), "-s", file, url, "--"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	text, err := cmd.CombinedOutput()
	if err != nil && ctx.Err() == nil {
		return posted{}, fmt.Errorf("wrk: %w\n%s", err, text)
	}
	var p posted
	start := bytes.LastIndexByte(text, '{')
	if start < 0 {
		return p, fmt.Errorf("wrk ended without a summary:\n%s", text)
	}
	if err := json.NewDecoder(bytes.NewReader(text[start:])).Decode(&p); err != nil {
		return p, fmt.Errorf("wrk's summary: %w\n%s", err, text)
	}
	if p.Refused > 0 || p.Broken > 0 || p.Late > 0 {
		return p, fmt.Errorf("%s: of %d requests, %d were refused and %d answered after more than %s; %d connections failed",
			url, p.Requests, p.Refused, p.Late, wrkPatience, p.Broken)
	}
	return p, nil
}

// writeTokens makes a file with a token for each user from first on.
func (l *lab) writeTokens(name string, first, users int) (file string, err error) {
	lines := make([][]byte, users)
	if err := inParallel(users, func(i int) error {
		t, err := token(int64(first + i))
		lines[i] = []byte(t)
		return err
	}); err != nil {
		return "", err
	}
	file = l.file(name)
	return file, os.WriteFile(file, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600)
}
