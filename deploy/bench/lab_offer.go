package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// overload is a load of POST requests by many clients, each with a connection of its own, which post again as soon as
// they are answered. wrk does not tell how long the accepted ones alone took.
type overload struct {
	clients int
	limit   time.Duration                    // how long to post
	request func(n int) (token, body string) // the nth of all, from 0; an empty body: there are no more
}

// offered is what came of an overload.
type offered struct {
	took    []float64 // of the accepted requests, in ms
	refused int
	seconds float64
}

func (o *offered) rate() float64 { return float64(len(o.took)) / o.seconds }

func (o *offered) refusedShare() float64 {
	return float64(o.refused) / float64(max(1, o.refused+len(o.took)))
}

// answerPatience is how long a client waits for an answer at most. One that is not there then fails the run.
const answerPatience = time.Minute

// run connects all clients, and then has them post. Any answer but 200 and a 503 with Retry-After is an error.
func (o overload) run(ctx context.Context, api *child, path string) (*offered, error) {
	base, err := url.Parse(api.url)
	if err != nil {
		return nil, err
	}
	conns := make([]net.Conn, 0, o.clients)
	defer func() {
		for _, c := range conns {
			_ = c.Close() // every answer was read
		}
	}()
	for range o.clients {
		conn, err := dialAPI(ctx, api)
		if err != nil {
			return nil, fmt.Errorf("client %d (is ulimit -n large enough?): %w", len(conns), err)
		}
		conns = append(conns, conn)
	}
	var (
		next    atomic.Int64
		clients errgroup.Group
		begun   = time.Now()
		each    = make([]offered, o.clients)
	)
	for i, conn := range conns {
		clients.Go(func() error {
			c := client{conn: conn, in: bufio.NewReaderSize(conn, 1024), host: base.Host, path: path}
			for ctx.Err() == nil && time.Since(begun) < o.limit {
				token, body := o.request(int(next.Add(1) - 1))
				if body == "" {
					return nil
				}
				asked := time.Now()
				status, err := c.post(token, body)
				switch {
				case err != nil:
					return err
				case status == http.StatusOK:
					each[i].took = append(each[i].took, float64(time.Since(asked).Microseconds())/1000)
				default:
					each[i].refused++
				}
			}
			return nil
		})
	}
	err = clients.Wait()
	all := &offered{seconds: time.Since(begun).Seconds()}
	for _, e := range each {
		all.took = append(all.took, e.took...)
		all.refused += e.refused
	}
	return all, causeOf(ctx, err)
}

// client posts on one connection. It does as little as it can, since it takes its time from what it measures.
type client struct {
	conn       net.Conn
	in         *bufio.Reader
	host, path string
	out        []byte
}

// post returns 200, or 503 when the answer says when to come again.
func (c *client) post(token, body string) (status int, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(answerPatience)); err != nil {
		return 0, err
	}
	c.out = fmt.Appendf(c.out[:0], "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
		c.path, c.host, len(body))
	if token != "" {
		c.out = append(append(append(c.out, "Authorization: Bearer "...), token...), "\r\n"...)
	}
	c.out = append(append(c.out, "\r\n"...), body...)
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	const begin, digits = len("HTTP/1.1 "), 3
	if len(line) < begin+digits {
		return 0, fmt.Errorf("no status in %q", line)
	}
	if status, err = strconv.Atoi(string(line[begin : begin+digits])); err != nil {
		return 0, fmt.Errorf("no status in %q", line)
	}
	length, retryAfter := 0, false
	for {
		line, err = c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		case "Retry-After":
			retryAfter = true
		}
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(c.in, text); err != nil {
		return 0, err
	}
	if status != http.StatusOK && (status != http.StatusServiceUnavailable || !retryAfter) {
		return 0, fmt.Errorf("an answer of status %d, Retry-After %t: %s", status, retryAfter, text)
	}
	return status, nil
}
