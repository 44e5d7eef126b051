package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/paidui/paidui/tasks"
)

const (
	waitSeconds   = 60 // of ?wait=, the most there is
	waitersOnline = 20 * time.Second
)

// measureWaiters has clients wait for tasks that don't come to run, half by ?wait= and half for events, and looks at what
// that costs the API and Redis. Then, while they go on waiting, it runs other tasks one at a time and takes the time from
// the handler's return to the answer of the client that waits.
func measureWaiters(ctx context.Context, l *lab) (got []measurement, err error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	api, err := l.startAPI(ctx,
		"PAIDUI_MAX_CONNECTIONS_PER_ADDRESS=1000000", // all are of this machine
		"PAIDUI_HTTP_QUEUE_WAIT=1m")                  // none is refused when they come, all at once
	if err != nil {
		return nil, err
	}
	p, err := newPaidui(ctx, l.redisURL(brokerDB), l.logLevel, withResult)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	crowd := &crowd{api: api}
	defer crowd.leave()

	if err := crowd.join(ctx, p, 100); err != nil { // what is made once is not the waiters'
		return nil, err
	}
	alone, err := l.readsPerSecond(ctx, time.Duration(l.pick(10, 2))*time.Second)
	if err != nil {
		return nil, err
	}
	before, err := api.memory("VmRSS")
	if err != nil {
		return nil, err
	}
	if err := crowd.join(ctx, p, l.pick(10_000, 1_000)); err != nil {
		return nil, err
	}
	reads, err := l.readsPerSecond(ctx, time.Duration(l.pick(20, 2))*time.Second)
	if err != nil {
		return nil, err
	}
	after, err := api.memory("VmRSS")
	if err != nil {
		return nil, err
	}
	took, err := answers(ctx, p, api, l.pick(500, 100))
	if err != nil {
		return nil, err
	}
	return []measurement{
		{value: after - before}, {reads, alone}, {value: median(took)}, {value: percentile(took, 0.99)},
	}, crowd.stillThere(ctx)
}

// crowd are clients that wait.
type crowd struct {
	api   *child
	conns []net.Conn
}

// join adds n clients, each with a task of its own that is due in an hour, and returns when the API has all.
func (c *crowd) join(ctx context.Context, p *paidui, n int) error {
	calls := make([]tasks.Signature, n)
	for i := range calls {
		calls[i] = kept.Signature(args{i}, tasks.Countdown(time.Hour))
	}
	for i, made := range tasks.EnqueueMany(ctx, p.client, calls) {
		if made.Err != nil {
			return made.Err
		}
		conn, err := dialAPI(ctx, c.api)
		if err != nil {
			return fmt.Errorf("client %d (is ulimit -n large enough?): %w", len(c.conns), err)
		}
		c.conns = append(c.conns, conn)
		if err := ask(conn, made.ID, i%2 == 0); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, waitersOnline, fmt.Errorf("%d clients do not wait after %v", n, waitersOnline))
	defer cancel()
	for {
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
		online, err := c.online(ctx)
		if err != nil || online == len(c.conns) {
			return err
		}
	}
}

// online is how many requests the API has in hand.
func (c *crowd) online(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.api.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "paidui_http_requests_in_flight "); ok {
			return strconv.Atoi(value)
		}
	}
	return 0, errors.Join(lines.Err(), errors.New("the API does not tell paidui_http_requests_in_flight"))
}

// stillThere fails when the API has sent a client away.
func (c *crowd) stillThere(ctx context.Context) error {
	online, err := c.online(ctx)
	if err == nil && online < len(c.conns) {
		err = fmt.Errorf("only %d of %d clients still wait", online, len(c.conns))
	}
	return err
}

func (c *crowd) leave() {
	for _, conn := range c.conns {
		_ = conn.Close() // the API is to be stopped anyway
	}
}

// answers runs n tasks on an idle worker, and for each has a client wait, by turns in either way. It returns the times from
// the handler's return to the arrival of the outcome, in milliseconds.
func answers(ctx context.Context, p *paidui, api *child, n int) (took []float64, err error) {
	finish, returns := make(chan struct{}), make(chan time.Time, 1)
	stop, err := p.serveWith(4, func(int) {
		<-finish
		returns <- time.Now()
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	defer close(finish)
	for i := range n {
		made, err := kept.Enqueue(ctx, p.client, args{i})
		if err != nil {
			return nil, err
		}
		conn, err := dialAPI(ctx, api)
		if err != nil {
			return nil, err
		}
		if err := ask(conn, made.ID(), i%2 == 0); err != nil {
			return nil, err
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil { // until the client waits and the worker runs
			return nil, err
		}
		finish <- struct{}{}
		at, err := readOutcome(conn)
		if err != nil {
			return nil, err
		}
		took = append(took, float64(at.Sub(<-returns).Microseconds())/1000)
		_ = conn.Close()
	}
	return took, nil
}

func dialAPI(ctx context.Context, api *child) (net.Conn, error) {
	base, err := url.Parse(api.url)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "tcp", base.Host)
}

// ask requests the task's events, or to wait for its end.
func ask(conn net.Conn, id string, events bool) error {
	path := "/v1/tasks/" + id
	if events {
		path += "/events"
	} else {
		path += "?wait=" + strconv.Itoa(waitSeconds)
	}
	_, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: "+conn.RemoteAddr().String()+"\r\n\r\n")
	return err
}

// readOutcome reads until the outcome has arrived.
func readOutcome(conn net.Conn) (time.Time, error) {
	if err := conn.SetReadDeadline(time.Now().Add(waitersOnline)); err != nil {
		return time.Time{}, err
	}
	var all strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		all.Write(buf[:n])
		if strings.Contains(all.String(), `"state":"SUCCESS"`) {
			return time.Now(), nil
		}
		if err != nil {
			return time.Time{}, fmt.Errorf("no outcome in %q: %w", all.String(), err)
		}
	}
}

// readsPerSecond is how often Redis gets something to read from its clients, over a window after things have settled. It
// is at most the number of commands, and a script is one, whatever it does.
func (l *lab) readsPerSecond(ctx context.Context, window time.Duration) (float64, error) {
	if err := pause(ctx, l.settle()); err != nil {
		return 0, err
	}
	reads := func() (float64, error) {
		text, err := l.info(ctx, "stats", "total_reads_processed")
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(text, 64)
	}
	first, err := reads()
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, window); err != nil {
		return 0, err
	}
	last, err := reads()
	return max(last-first-1, 0) / window.Seconds(), err // one is the second question itself
}
