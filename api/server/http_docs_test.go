package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/api/server/servertest"
	"github.com/paidui/paidui/api/web/webtest"
)

func TestRoutesAndContractAgree(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	s.RequireRoutes(s.api.Routes(), "GET /plain", "GET /plain/silent", "GET /plain/teapot")
}

func TestDocsAreServed(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for _, path := range []string{"/docs", "/docs/"} {
		page := s.Get(path)
		require.Equal(t, http.StatusOK, page.Status)
		require.Contains(t, string(page.Raw), "/docs/openapi.yaml")
		require.Contains(t, page.Header.Get("Content-Security-Policy"), "script-src 'self';")
		require.NotRegexp(t, `(src|href)="https?://`, string(page.Raw), "the page must ask no other host")
		require.NotRegexp(t, `<script>|<script [^>]*>[^<]| on[a-z]+=`, string(page.Raw), "the policy lets no script in the page run")
	}
	require.Equal(t, http.StatusOK, s.Get("/docs/swagger-ui-bundle.js").Status)
	require.Contains(t, s.Get("/docs/start.js").Header.Get("Content-Type"), "text/javascript")
	require.Equal(t, http.StatusNotFound, s.Get("/docs/nothing.js").Code)
	spec := s.Get("/docs/openapi.yaml")
	require.Equal(t, http.StatusOK, spec.Status)
	require.Contains(t, string(spec.Raw), "openapi: 3.0.3")
}

// TestTheContractNamesTheTasks: each of the program's tasks is an example of a call, which can be sent as it is.
func TestTheContractNamesTheTasks(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	var contract struct {
		Paths map[string]struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct {
						Examples map[string]struct {
							Summary string
							Value   map[string]any
						}
					}
				} `yaml:"requestBody"`
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(s.Get("/docs/openapi.yaml").Raw, &contract))
	examples := contract.Paths["/v1/tasks"].Post.RequestBody.Content["application/json"].Examples
	require.Len(t, examples, len(s.api.Catalog.All()))
	for _, spec := range s.api.Catalog.All() {
		require.Equal(t, spec.Name()+", in queue "+spec.Queue(), examples[spec.Name()].Summary)
		require.Equal(t, spec.Name(), examples[spec.Name()].Value["task"])
	}
	sample := examples["demo.add"].Value
	require.Equal(t, map[string]any{"n": 1, "m": 1}, sample["args"])
	body, err := json.Marshal(sample)
	require.NoError(t, err)
	require.Equal(t, 100, s.Post("/v1/tasks", string(body), asOperator).Code)
}

// TestTheAPIStandsBelowAnyPath mounts it in net/http's mux and in a host's Echo, with the host's own authentication.
func TestTheAPIStandsBelowAnyPath(t *testing.T) {
	t.Parallel()
	type hostKey struct{}
	signedIn := func(next http.Handler) http.Handler { // the host's middleware, by a cookie
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if cookie, err := r.Cookie("session"); err == nil {
				r = r.WithContext(context.WithValue(r.Context(), hostKey{}, cookie.Value))
			}
			next.ServeHTTP(w, r)
		})
	}
	system := assembleEmbedded(t, func(o *options) {
		o.OperatorKey = ""
		o.Identify = func(r *http.Request) (server.Identity, error) {
			name, _ := r.Context().Value(hostKey{}).(string)
			return server.Identity{User: name, Operator: name == "admin"}, nil
		}
	})
	as := func(name string) with { return header("Cookie", "session="+name) }
	below := http.StripPrefix("/queue", system.api.Handler())
	mux := http.NewServeMux()
	mux.Handle("/queue/", below)
	host := echo.New()
	host.Any("/queue", echo.WrapHandler(below))
	host.Any("/queue/*", echo.WrapHandler(below))
	for name, handler := range map[string]http.Handler{"net/http": mux, "Echo": host} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := httptest.NewServer(signedIn(handler))
			t.Cleanup(web.Close)
			c := servertest.New(t, web.URL+"/queue", system.api.OpenAPI())
			made := c.Post("/v1/tasks/", `{"task":"demo.add","args":{"n":1,"m":2}}`, as("admin"))
			require.Equal(t, 100, made.Code, "%s", made.Raw)
			require.Contains(t, string(c.Get("/v1/tasks/"+made.TaskID, as("admin")).Data), `"args":{"n":1,"m":2}`)
			require.NotContains(t, string(c.Get("/v1/tasks/"+made.TaskID+"?wait=400ms", as("ann")).Data), "args")
			require.Equal(t, 403, c.Post("/v1/tasks", `{}`, as("ann")).Status)
			require.Equal(t, 401, c.Post("/v1/tasks", `{}`).Status)
			require.Equal(t, 401, c.Post("/v1/tasks", `{}`, bearer("")).Status)
			require.Equal(t, 103, c.Post("/v1/orders", nil, as(name[:3])).Code)
			require.Equal(t, 404, c.Get("/v1/nothing").Code)
			require.Equal(t, string(c.Get("/docs").Raw), string(c.Get("/").Raw), "without a page of its own")
			require.Equal(t, string(system.api.OpenAPI()), string(c.Get("/docs/openapi.yaml").Raw))
			for _, page := range []string{"/docs", "/docs/"} {
				html := c.Get(page)
				require.Equal(t, http.StatusOK, html.Status)
				links := pageLinks.FindAllStringSubmatch(string(html.Raw), -1)
				require.Greater(t, len(links), 4)
				at, err := url.Parse(c.Base + page)
				require.NoError(t, err)
				for _, link := range links {
					to, err := at.Parse(link[1])
					require.NoError(t, err)
					require.Equal(t, http.StatusOK, c.Get(strings.TrimPrefix(to.Path, "/queue")).Status, "%s of %s", to, page)
				}
			}
		})
	}
}

var pageLinks = regexp.MustCompile(`(?:src|href|data-contract)="([^"]+)"`)

// TestDocsInABrowserBelowAPath opens the page there, and sends a request from it.
func TestDocsInABrowserBelowAPath(t *testing.T) {
	s := startEmbedded(t)
	mux := http.NewServeMux()
	mux.Handle("/queue/", http.StripPrefix("/queue", s.api.Handler()))
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	for _, path := range []string{"/queue/docs", "/queue/docs/"} {
		tab := webtest.NewTab(t, webtest.Browser(t), webtest.View{})
		tab.Open(web.URL + path)
		tab.Await("the operations", `document.querySelectorAll('.opblock').length > 15`)
		tab.Click("#operations-Goods-listGoods .opblock-summary")
		tab.Await("one of them", `document.querySelector('#operations-Goods-listGoods .try-out__btn') !== null`)
		tab.Click("#operations-Goods-listGoods .try-out__btn")
		tab.Await("the button", `document.querySelector('#operations-Goods-listGoods .execute') !== null`)
		tab.Click("#operations-Goods-listGoods .execute")
		tab.Await("the answer", `document.querySelector('#operations-Goods-listGoods .live-responses-table')?.innerText.includes('"code": 100')`)
		tab.Clean(web.URL)
	}
}
