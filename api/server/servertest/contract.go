package servertest

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

var (
	echoParam     = regexp.MustCompile(`:(\w+)`)
	contractParam = regexp.MustCompile(`\{(\w+)\}`)
)

// Operation is one of the contract.
type Operation struct {
	*openapi3.Operation
	Method string
	Path   string // as the contract has it, but without a slash at its end
	Route  string // as Server.Routes has it
	Query  []string
}

// Operations are those of the contract that the API serves.
func (c *Client) Operations() (list []Operation) {
	for path, item := range c.contract.Paths.Map() {
		path = strings.TrimSuffix(path, "/")
		for method, op := range item.Operations() {
			o := Operation{Operation: op, Method: method, Path: path, Route: method + " " + contractParam.ReplaceAllString(path, ":$1")}
			for _, p := range append(slices.Clone(item.Parameters), op.Parameters...) {
				if p.Value.In == openapi3.ParameterInQuery {
					o.Query = append(o.Query, p.Value.Name)
				}
			}
			list = append(list, o)
		}
	}
	return list
}

// On returns the path of the operation with a value for all its parameters.
func (o Operation) On(value string) string { return contractParam.ReplaceAllString(o.Path, value) }

// RequireRoutes wants the contract to have the operations that are served, and HEAD to be served wherever GET is, but for the
// given. routes are those of Server.Routes.
func (c *Client) RequireRoutes(routes []string, withoutHead ...string) {
	c.T.Helper()
	documented := make(map[string]bool)
	for _, o := range c.Operations() {
		documented[o.Method+" "+o.Path] = true
	}
	served, heads := make(map[string]bool), make(map[string]bool)
	for _, r := range routes {
		method, path, _ := strings.Cut(r, " ")
		if path == "/docs/*" { // the files of Swagger UI
			continue
		}
		path = echoParam.ReplaceAllString(path, "{$1}")
		if method == http.MethodHead {
			heads["GET "+path] = true
			continue
		}
		served[method+" "+path] = true
	}
	require.Equal(c.T, slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(served)))
	for operation := range served {
		get := strings.HasPrefix(operation, "GET ")
		require.Equal(c.T, get && !slices.Contains(withoutHead, operation), heads[operation], "HEAD for %s", operation)
	}
}

// RequireRefusals sends every operation of the contract parameters and bodies that it does not take, and wants each to be a
// 400 that names what is too much. as says who may use an operation, by the name of its security scheme.
func (c *Client) RequireRefusals(takesAny []string, as map[string]With) {
	c.T.Helper()
	for _, o := range c.Operations() {
		if slices.Contains(takesAny, o.Route) {
			require.Equal(c.T, http.StatusOK, c.Get(o.Path+"?v=1&v=2").Status, o.Path)
			continue
		}
		who := With(func(*http.Request) {})
		if o.Security != nil {
			for _, schemes := range *o.Security {
				for scheme := range schemes {
					who = as[scheme]
				}
			}
		}
		require.NotNil(c.T, who, o.Route)
		path := o.On("1")
		var body any
		if o.RequestBody != nil {
			body = "{}"
		}
		refused := func(query string, body any, field string, more ...With) {
			c.T.Helper()
			a := c.Do(o.Method, path+query, body, append(more, who)...)
			require.Equal(c.T, []any{http.StatusBadRequest, field}, []any{a.Code, a.Field}, "%s %s: %s", o.Route, query, a.Raw)
		}
		refused("?zz=1", body, "zz")
		refused("?zz", body, "zz")
		refused("?pretty&pretty", body, "pretty")
		refused("?a;b", body, "query")
		for _, name := range o.Query {
			refused("?"+name+"=a&"+name+"=b", body, name)
			refused("?"+strings.ToUpper(name)+"=a", body, strings.ToUpper(name))
		}
		if o.RequestBody != nil {
			refused("", `{"zz":1}`, "zz")
			continue
		}
		refused("", `{"zz":1}`, "body")
		refused("", "zz", "body", Header("Content-Type", "text/plain"))
		refused("", " ", "body", UnknownLength)
	}
}
