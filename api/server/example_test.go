package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// ReportArgs are the arguments of the task, and the body of the route that makes it.
type ReportArgs struct {
	Month string `json:"month" validate:"required,len=7"`
}

// A program with a task, and a route of its own that enqueues it. Its users are known by a token, its operators by a key, and
// its errors have texts of their own.
func Example() {
	report := tasks.Define[ReportArgs, string]("reports.make")
	client, stop := exampleClient()
	defer stop()
	catalog, err := tasks.NewCatalog(report)
	if err != nil {
		panic(err)
	}

	errClosed := errors.New("reports: the month is closed")
	make := func(c echo.Context) error {
		args, err := server.Body[ReportArgs](c) // 400 with the field at fault, 413, 415
		if err != nil {
			return err
		}
		if args.Month < "2020-01" {
			return errClosed
		}
		made, err := report.Enqueue(c.Request().Context(), client, args)
		if err != nil {
			return err
		}
		return server.Queued(c, made.ID())
	}
	s, err := server.New(server.Options{
		Tasks: client, Catalog: catalog, OperatorKey: "key-of-the-operators", Language: "en", Logger: slog.New(slog.DiscardHandler),
		Application: server.Application{
			Routes: []server.Route{{
				Method: http.MethodPost, Path: "/v1/reports", Handler: make, Who: server.Users, Body: true,
				Rate: &server.Rate{PerUser: 5},
			}},
			Identify: func(r *http.Request) (server.Identity, error) {
				token, given := server.Bearer(r)
				switch {
				case !given:
					return server.Identity{}, nil
				case token != "token-of-ann":
					return server.Identity{}, server.Unauthorized(server.Text{EN: "the token is not valid"}, nil)
				}
				return server.Identity{User: "ann"}, nil
			},
			Explain: func(err error) *server.Failure {
				if errors.Is(err, errClosed) {
					return &server.Failure{Status: http.StatusConflict, Field: "month", Msg: server.Textf("该月已结账", "the month is closed")}
				}
				return nil
			},
		},
	})
	if err != nil {
		panic(err)
	}

	// It may stand below any path of a program that has a server already.
	mux := http.NewServeMux()
	mux.Handle("/queue/", http.StripPrefix("/queue", s.Handler()))

	ask := func(token, body string) {
		r := httptest.NewRequest(http.MethodPost, "/queue/v1/reports", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		before, id, _ := strings.Cut(strings.TrimSpace(w.Body.String()), "default_")
		if id != "" {
			before += "default_…"
		}
		fmt.Println(w.Code, before)
	}
	ask("token-of-ann", `{"month":"2026-11"}`)
	ask("token-of-ann", `{"month":"November"}`)
	ask("token-of-ann", `{"month":"2019-11"}`)
	ask("token-of-bob", `{"month":"2026-11"}`)
	// Output:
	// 200 {"code":100,"msg":"the task is queued","data":null,"task_id":"default_…
	// 400 {"code":400,"msg":"month must be 7 characters in length","data":null,"field":"month"}
	// 409 {"code":409,"msg":"the month is closed","data":null,"field":"month"}
	// 401 {"code":401,"msg":"the token is not valid","data":null}
}

// exampleClient enqueues to a Redis within this process.
func exampleClient() (client *tasks.Client, stop func()) {
	mini, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	b, err := broker.Open(context.Background(), "redis://"+mini.Addr(), broker.Options{})
	if err != nil {
		panic(err)
	}
	return tasks.NewClient(b), func() { _ = b.Close(); mini.Close() }
}
