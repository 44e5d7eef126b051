package server_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/api/server/servertest"
	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// errSoldOut is an error of the application that only it can explain.
var errSoldOut = errors.New("goods: sold out")

type goods struct {
	ID    int64  `json:"id"`
	Name  string `json:"name" validate:"required,max=16,line,capital"`
	Price int64  `json:"price" validate:"min=0"`
}

// goodsApp is an application of the tests' own: goods that operators add, and orders of users, whose token is "user-" and their
// name.
func goodsApp() server.Application {
	var mu sync.Mutex
	list := []goods{}
	orders := &server.Rate{PerUser: 1, Burst: 3 * time.Second}
	return server.Application{
		Routes: []server.Route{
			{Method: http.MethodGet, Path: "/v1/goods", Handler: func(c echo.Context) error {
				mu.Lock()
				defer mu.Unlock()
				return server.OK(c, list)
			}},
			{Method: http.MethodPost, Path: "/v1/goods", Who: server.Operators, Body: true, MaxBody: 1 << 10, Handler: func(c echo.Context) error {
				g, err := server.Body[goods](c)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				g.ID = int64(len(list) + 1)
				list = append(list, g)
				return server.OK(c, g)
			}},
			{Method: http.MethodGet, Path: "/v1/goods/:id", Handler: func(c echo.Context) error {
				id, err := server.PathID(c, "id")
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				if id > int64(len(list)) {
					return server.NotFound("id", server.Textf("没有这个商品", "there are no such goods"))
				}
				return server.OK(c, list[id-1])
			}},
			{Method: http.MethodPost, Path: "/v1/orders", Aliases: []string{"/orders"}, Who: server.Users, Rate: orders, Query: []string{"n"}, Handler: func(c echo.Context) error {
				if _, err := server.QueryInt(c, "n", 1, 10); err != nil {
					return err
				}
				who := server.IdentityOf(c)
				if who.User == "nobody" {
					return errSoldOut
				}
				return server.Answer{Code: server.CodeQueued, Msg: server.Text{ZH: "排队"}, Data: who.Value, TaskID: "order-of-" + who.User}.Send(c)
			}},
			{Method: http.MethodPost, Path: "/v1/notes", Body: true, MaxBody: 100, Timeout: time.Minute, Handler: echosOwn},
		},
		Echo: func(e *echo.Echo) {
			e.GET("/plain", func(c echo.Context) error { return c.String(http.StatusOK, "plain") })
			e.GET("/plain/silent", func(echo.Context) error { return &server.Failure{Status: http.StatusGone} })
			e.GET("/plain/teapot", func(echo.Context) error { return echo.NewHTTPError(http.StatusTeapot, "short and stout") })
		},
		Identify: func(r *http.Request) (server.Identity, error) {
			token, given := server.Bearer(r)
			name, ok := strings.CutPrefix(token, "user-")
			switch {
			case !given:
				return server.Identity{}, nil
			case token == "broken":
				return server.Identity{}, errors.New("the sessions' store has lost its key")
			case token == "root":
				return server.Identity{User: "root", Operator: true}, nil
			case !ok:
				return server.Identity{}, server.Unauthorized(server.Textf("凭证无效", "not a token of ours"), nil)
			}
			return server.Identity{User: name, Value: map[string]int{"length": len(name)}}, nil
		},
		Explain: func(err error) *server.Failure {
			if errors.Is(err, errSoldOut) {
				return &server.Failure{Status: http.StatusConflict, Msg: server.Textf("售罄", "sold out"), Cause: err}
			}
			return nil
		},
		PublicError: func(info *tasks.Info) bool { return info.Task == "demo.low" },
		Checks: []server.Check{{
			Tag: "capital", Valid: func(s string) bool { return strings.ToUpper(s[:1]) == s[:1] },
			Msg: server.Textf("{0}应以大写字母开头", "{0} must begin with a capital"),
		}},
		Contract: []byte(goodsContract),
	}
}

// echosOwn is a handler that knows Echo alone.
func echosOwn(c echo.Context) error {
	var note struct {
		Text string `json:"text" validate:"required"`
	}
	if err := c.Bind(&note); err != nil {
		return err
	}
	if err := c.Validate(note); err != nil {
		return err
	}
	if note.Text == "taken" {
		return echo.NewHTTPError(http.StatusConflict, "there is such a note")
	}
	_, limited := c.Request().Context().Deadline()
	return c.JSON(http.StatusOK, map[string]any{"code": 100, "msg": "noted", "data": limited})
}

const goodsContract = `
info: {title: Goods, description: Goods to try things on.}
tags: [{name: Goods}]
paths:
  /v1/goods:
    get:
      tags: [Goods]
      operationId: listGoods
      responses: {"200": {$ref: "#/components/responses/Any"}, default: {$ref: "#/components/responses/Error"}}
    post:
      tags: [Goods]
      operationId: addGoods
      security: [{operator: []}]
      requestBody: {$ref: "#/components/requestBodies/Any"}
      responses: {"200": {$ref: "#/components/responses/Any"}, default: {$ref: "#/components/responses/Error"}}
  /v1/goods/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer, format: int64, minimum: 1}}]
    get:
      tags: [Goods]
      operationId: oneGoods
      responses: {"200": {$ref: "#/components/responses/Any"}, default: {$ref: "#/components/responses/Error"}}
  /v1/orders:
    post:
      tags: [Goods]
      operationId: order
      security: [{user: []}]
      parameters: [{name: n, in: query, schema: {type: integer, minimum: 1, maximum: 10}}]
      responses: {"200": {$ref: "#/components/responses/Queued"}, default: {$ref: "#/components/responses/Error"}}
  /orders:
    post:
      tags: [Goods]
      operationId: orderAlias
      security: [{user: []}]
      parameters: [{name: n, in: query, schema: {type: integer, minimum: 1, maximum: 10}}]
      responses: {"200": {$ref: "#/components/responses/Queued"}, default: {$ref: "#/components/responses/Error"}}
  /v1/notes:
    post:
      tags: [Goods]
      operationId: note
      requestBody: {$ref: "#/components/requestBodies/Any"}
      responses: {"200": {$ref: "#/components/responses/Any"}, default: {$ref: "#/components/responses/Error"}}
  /plain:
    get: {tags: [Goods], operationId: plain, responses: {"200": {description: a word, content: {text/plain: {schema: {type: string}}}}}}
  /plain/silent:
    get: {tags: [Goods], operationId: silent, responses: {default: {$ref: "#/components/responses/Error"}}}
  /plain/teapot:
    get: {tags: [Goods], operationId: teapot, responses: {default: {$ref: "#/components/responses/Error"}}}
components:
  securitySchemes:
    user: {type: http, scheme: bearer}
  requestBodies:
    Any: {required: true, content: {application/json: {schema: {type: object}}}}
  responses:
    Any: {description: something, content: {application/json: {schema: {$ref: "#/components/schemas/OK"}}}}
    Queued:
      description: an order in the queue
      content:
        application/json:
          schema:
            type: object
            required: [code, msg, data, task_id]
            properties: {code: {type: integer, enum: [103]}, task_id: {$ref: "#/components/schemas/TaskID"}}
`

func TestAnApplicationsRoutesStandBeside(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	added := s.Post("/v1/goods/", map[string]any{"name": "Keyboard", "price": 9900}, asOperator)
	require.Equal(t, 100, added.Code, "%s", added.Raw)
	require.JSONEq(t, `{"id":1,"name":"Keyboard","price":9900}`, string(s.Get("/v1/goods/1").Data))
	for _, test := range []struct {
		body   any
		who    []with
		status int
		field  string
		msg    string
	}{
		{map[string]any{"name": "Mouse"}, nil, 401, "", "this needs the operator key"},
		{map[string]any{"name": "Mouse"}, []with{bearer("user-ann")}, 403, "", "only an operator may do this"},
		{map[string]any{"name": "Mouse"}, []with{bearer("guess")}, 401, "", "the operator key is wrong"},
		{map[string]any{"name": "mouse"}, []with{asOperator}, 400, "name", "name must begin with a capital"},
		{map[string]any{"name": "Mouse", "price": -1}, []with{asOperator}, 400, "price", "price must be 0 or greater"},
		{map[string]any{"name": "Mouse", "colour": "red"}, []with{asOperator}, 400, "colour", "there is no field colour"},
		{map[string]any{"name": strings.Repeat("M", 2000)}, []with{asOperator}, 413, "", "the body has more than 1024 bytes"},
	} {
		a := s.Post("/v1/goods", test.body, append(test.who, inEnglish)...)
		require.Equal(t, []any{test.status, test.field, test.msg}, []any{a.Status, a.Field, a.Msg}, "%s", a.Raw)
	}
	require.Contains(t, s.Post("/v1/goods", map[string]any{"name": "mouse"}, asOperator).Msg, "应以大写字母开头")
	require.Equal(t, 100, s.Post("/v1/goods", map[string]any{"name": "Mouse"}, bearer("root")).Code, "an operator by Identify")
}

func TestAnApplicationsUsersAreItsOwn(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	a := s.Post("/v1/orders?n=2", nil, bearer("user-ann"), inEnglish)
	require.Equal(t, []any{103, "排队", "order-of-ann"}, []any{a.Code, a.Msg, a.TaskID}, "the only language that it has: %s", a.Raw)
	require.JSONEq(t, `{"length":3}`, string(a.Data))
	require.Contains(t, s.log.String(), `"user_id":"ann"`)

	a = s.Post("/v1/orders", nil, bearer("user-nobody"), inEnglish)
	require.Equal(t, []any{409, "sold out"}, []any{a.Status, a.Msg})
	a = s.Post("/v1/orders", nil, inEnglish)
	require.Equal(t, []any{401, "log in first"}, []any{a.Status, a.Msg})
	require.NotEmpty(t, a.Header.Get("WWW-Authenticate"))
	a = s.Post("/v1/orders", nil, bearer("guess"), inEnglish)
	require.Equal(t, []any{401, "not a token of ours"}, []any{a.Status, a.Msg})
	for _, path := range []string{"/v1/orders", "/v1/goods"} {
		var body any
		if path == "/v1/goods" {
			body = "{}"
		}
		a = s.Post(path, body, bearer("broken"), inEnglish)
		require.Equal(t, 500, a.Status, "who asks is not known: %s", a.Raw)
		require.NotContains(t, string(a.Raw), "lost its key")
	}

	refused := 0
	for range 10 {
		if s.Post("/orders", nil, bearer("user-bob")).Status == 429 {
			refused++
		}
	}
	require.Positive(t, refused, "one rate for all paths of the route")
	require.Equal(t, 103, s.Post("/v1/orders", nil, bearer("user-cid")).Code, "of each user")
}

// TestAHandlerOfEchoAloneWorks: it has the limits of its route, and the envelope for what it returns as an error.
func TestAHandlerOfEchoAloneWorks(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) { o.LongestWait = time.Second })
	a := s.Post("/v1/notes", map[string]string{"text": "a"})
	require.Equal(t, []any{200, "noted", "true"}, []any{a.Status, a.Msg, string(a.Data)}, "with a timeout: %s", a.Raw)
	require.NotEmpty(t, a.Header.Get("X-Request-ID"))
	for _, test := range []struct {
		body   string
		status int
		field  string
	}{
		{`{"text":"taken"}`, 409, ""},
		{`{"text":""}`, 400, "text"},
		{`{"text"`, 400, ""},
		{`{"text":"` + strings.Repeat("a", 200) + `"}`, 413, ""},
	} {
		for _, more := range [][]with{nil, {servertest.UnknownLength}} {
			a := s.Post("/v1/notes", test.body, more...)
			require.Equal(t, []any{test.status, test.field}, []any{a.Status, a.Field}, "%s: %s", test.body, a.Raw)
		}
	}
	require.Equal(t, "there is such a note", s.Post("/v1/notes", `{"text":"taken"}`).Msg)
	require.Equal(t, "plain", string(s.Get("/plain").Raw))
	a = s.Get("/plain/teapot")
	require.Equal(t, []any{418, "short and stout"}, []any{a.Code, a.Msg})
	a = s.Get("/plain/silent", inEnglish)
	require.Equal(t, []any{410, "Gone"}, []any{a.Code, a.Msg})
	require.Equal(t, "/plain/silent", s.logged(t)[len(s.logged(t))-1]["route"])
}

func TestWhatAnApplicationMayNotHave(t *testing.T) {
	t.Parallel()
	client, known := tasks.NewClient(taskstest.Embedded(t)), demoCatalog(t)
	ok := func(echo.Context) error { return nil }
	valid := server.Route{Method: http.MethodGet, Path: "/v1/x/:id", Handler: ok}
	changed := func(change func(*server.Route)) server.Application {
		r := valid
		change(&r)
		return server.Application{Routes: []server.Route{valid, r}}
	}
	for want, app := range map[string]server.Application{
		"":                                     {Routes: []server.Route{valid}},
		"GET /v1/x/:name: there are two of it": changed(func(r *server.Route) { r.Path = "/v1/x/:name" }),
		"GET /v1/tasks/:name: there are two of it":        changed(func(r *server.Route) { r.Path = "/v1/tasks/:name" }),
		"GET /docs: there are two of it":                  changed(func(r *server.Route) { r.Path, r.Aliases = "/y", []string{"/docs"} }),
		`"get" is no method`:                              changed(func(r *server.Route) { r.Method = "get" }),
		`the path "y" must begin with a slash`:            changed(func(r *server.Route) { r.Path = "y" }),
		`the path "/y/" must begin with a slash, and not`: changed(func(r *server.Route) { r.Path = "/y/" }),
		"Handler is missing":                              changed(func(r *server.Route) { r.Handler = nil }),
		"Who is Users, but there is no Identify":          changed(func(r *server.Route) { r.Who = server.Users }),
		"Who is none of this package's":                   changed(func(r *server.Route) { r.Who = 9 }),
		"MaxBody is given, but no Body taken":             changed(func(r *server.Route) { r.MaxBody = 9 }),
		"NoHead is for GET":                               changed(func(r *server.Route) { r.Method, r.NoHead = http.MethodPost, true }),
		"both Query and AnyQuery":                         changed(func(r *server.Route) { r.AnyQuery, r.Query = true, []string{"a"} }),
		`check "x": a check has a tag`:                    {Checks: []server.Check{{Tag: "x"}}},
		"line 2: the path /v1/tasks/{name} is there":      {Contract: []byte("paths:\n  /v1/tasks/{name}: {}")},
		"line 3: the component schemas Task is there":     {Contract: []byte("components:\n  schemas:\n    Task: {}")},
		"the application's contract: it is not a mapping": {Contract: []byte("- a")},
		"the application's contract: yaml: line 1":        {Contract: []byte("a: [")},
		"it is OpenAPI 3.1.0, not 3.0":                    {Contract: []byte("openapi: 3.1.0")},
		"line 1: paths has another form than the API's":   {Contract: []byte("paths: []")},
	} {
		_, err := server.New(server.Options{
			Application: app, Tasks: client, Catalog: known, OperatorKey: operatorKey, Logger: testenv.Quiet(),
		})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}

func TestOptionsThatAreMissingAreNamedTogether(t *testing.T) {
	t.Parallel()
	_, err := server.New(server.Options{})
	require.ErrorContains(t, err, "Tasks is missing")
	require.ErrorContains(t, err, "Catalog is missing")
	require.ErrorContains(t, err, "OperatorKey is missing")
}

// TestAnAPIWithoutStores has neither a history nor schedules, nor an outbox, nor an application.
func TestAnAPIWithoutStores(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) {
		o.Application, o.History, o.Ticks = server.Application{}, nil, nil
		o.Tasks = tasks.NewClient(o.Broker) // without the outbox
	})
	a := s.Get("/v1/tasks", asOperator, inEnglish)
	require.Equal(t, []any{501, "this service has no database (PAIDUI_DATABASE_URL) and keeps no history of its tasks"}, []any{a.Status, a.Msg})
	a = s.Get("/v1/schedules", asOperator, inEnglish)
	require.Equal(t, []any{501, "this service has no schedules"}, []any{a.Status, a.Msg})
	require.Equal(t, 401, s.Get("/v1/schedules").Status)
	for _, path := range []string{"/v1/tasks/unknown", "/v1/tasks/unknown/events", "/v1/tasks/unknown?wait=1s"} {
		require.Equal(t, 404, s.Get(path, asOperator).Status, path)
	}
	a = s.Post("/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"durable":true}`, asOperator)
	require.Equal(t, []any{400, "durable"}, []any{a.Code, a.Field}, "%s", a.Raw)
	s.work(t)
	id := s.add(t)
	require.Equal(t, "SUCCESS", s.task(t, "/v1/tasks/"+id+"?wait=20s").State)
	require.Equal(t, 404, s.Get("/v1/goods").Status)
	require.NotContains(t, s.log.String(), `"level":"ERROR"`)
}
