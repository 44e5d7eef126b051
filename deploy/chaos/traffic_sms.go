package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// into reads the data of an answer that has to be a success.
func (a answer) into(v any) error {
	if a.err != nil {
		return a.err
	}
	if a.verdict() != accepted {
		return fmt.Errorf("status %d: %s", a.status, a.Msg)
	}
	return json.Unmarshal(a.Data, v)
}

// text asks for a code to a number of its own and, if so planned, logs in with it.
func (g *generator) text(ctx, over context.Context, q request) {
	mobile := fmt.Sprintf("137%08d", q.serial)
	sent := g.send(ctx, q, http.MethodPost, "/v1/sms", "", map[string]any{"mobile": mobile})
	if sent.verdict() != accepted {
		return
	}
	g.book.enter(func(b *book) { b.texts = append(b.texts, text{sent.TaskID, mobile, sent.begun}) })
	if q.variant != "login" {
		return
	}
	code := ""
	for code == "" {
		if !pause(over, 500*time.Millisecond) {
			return
		}
		code = newestCode(g.send(ctx, q, http.MethodGet, "/v1/outbox?mobile="+mobile, operatorKey, nil))
	}
	g.logIn(ctx, q, mobile, code)
}

func (g *generator) logIn(ctx context.Context, q request, mobile, code string) {
	session, made := sessionOf(g.send(ctx, q, http.MethodPost, "/v1/login", "", map[string]any{"mobile": mobile, "code": code}))
	if made {
		g.book.enter(func(b *book) { b.logins = append(b.logins, login{session.User.ID, mobile, time.Now()}) })
	}
}

// newestCode is the code of the newest message in an answer of the outbox, "" without.
func newestCode(a answer) string {
	var messages []struct{ Code string }
	if a.into(&messages) != nil || len(messages) == 0 {
		return ""
	}
	return messages[0].Code
}

type session struct {
	Token string
	User  struct{ ID int64 }
}

func sessionOf(a answer) (s session, ok bool) {
	err := a.into(&s)
	return s, err == nil && s.Token != ""
}

// enroll makes n users log in while nothing is broken.
func enroll(ctx context.Context, l *lab, n int) ([]user, error) {
	users := make([]user, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i := range users {
		group.Go(func() (err error) {
			users[i], err = enrollOne(ctx, l, i)
			return err
		})
	}
	return users, group.Wait()
}

func enrollOne(ctx context.Context, l *lab, i int) (user, error) {
	u := user{index: i, mobile: fmt.Sprintf("138%08d", i)}
	post := func(path string, body any) answer {
		return l.clients.send(ctx, nil, ask{method: http.MethodPost, path: path, body: body, user: i})
	}
	if sent := post("/v1/sms", map[string]any{"mobile": u.mobile}); sent.verdict() != accepted {
		return u, fmt.Errorf("ask for the code of user %d: status %d %s (%w)", i, sent.status, sent.Msg, sent.err)
	}
	const patience = 3 * time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	code := ""
	for code == "" {
		if !pause(ctx, 100*time.Millisecond) {
			return u, fmt.Errorf("user %d gets no code: %w", i, context.Cause(ctx))
		}
		code = newestCode(l.clients.send(ctx, nil, ask{
			method: http.MethodGet, path: "/v1/outbox?mobile=" + u.mobile, bearer: operatorKey, user: i,
		}))
	}
	in := post("/v1/login", map[string]any{"mobile": u.mobile, "code": code})
	s, ok := sessionOf(in)
	if !ok {
		return u, fmt.Errorf("log in user %d: status %d %s (%w)", i, in.status, in.Msg, in.err)
	}
	u.id, u.token = s.User.ID, s.Token
	return u, nil
}
