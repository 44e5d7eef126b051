package server

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// Application is what a program adds to the API of its tasks: routes of its own, who its users are, and what its errors
// mean. Its routes stand beside the API's, behind the same middleware, and are answered in the same envelope. All fields are
// optional.
type Application struct {
	Routes []Route

	// Echo adds routes in Echo's own way, with groups and middleware; what it has Echo use, holds for all routes. Such a route has an id, a language, the envelope for
	// its errors, and its line in the log and the metrics; but nothing of what a Route declares, not even a timeout.
	Echo func(*echo.Echo)

	// Identify says who sends a request. It is asked where a route's Who is not Anyone, and the operator's key was not sent.
	// A request that names nobody is the zero Identity. Unauthorized refuses what it carries as not valid; any other error
	// says that Identify could not do its work, and is answered as one of a handler. With nil there are no users.
	// It is called concurrently.
	Identify func(*http.Request) (Identity, error)

	// Explain says what the client gets for an error of the application; nil for one that it does not know. It is called
	// concurrently.
	Explain func(error) *Failure

	// PublicError reports whether anybody who knows a task's id may read its error, which may name servers and tables.
	// Without, an operator alone may. It is called concurrently.
	PublicError func(*tasks.Info) bool

	// Checks are validate tags of the application, beside those of the validator and line, text, webpath and anywebpath.
	Checks []Check

	// Contract is the application's part of the contract, OpenAPI 3.0 in YAML: see MergeContracts.
	Contract []byte

	Web http.Handler // answers GET and HEAD of what is no route, such as "/" and "/media/…"; nil: they are 404
}

// Check is a validate tag for strings: `validate:"required,mobile"` with the tag "mobile".
type Check struct {
	Tag   string
	Valid func(string) bool // called concurrently
	Msg   Text              // of what is not valid; {0} stands for the field
}

func (a Application) validate() error {
	faults := make([]error, 0, len(a.Routes))
	for _, r := range a.Routes {
		faults = append(faults, r.validate(a.Identify != nil))
	}
	for _, c := range a.Checks {
		if c.Tag == "" || c.Valid == nil || c.Msg == (Text{}) {
			faults = append(faults, fmt.Errorf("check %q: a check has a tag, a function and a message", c.Tag))
		}
	}
	return errors.Join(faults...)
}
