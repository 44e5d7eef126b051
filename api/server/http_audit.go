package server

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/audit"
)

// A client whose acts are refused has so many of them in the audit log at once, and then one each refusalEvery; all clients
// together have refusalsOfAll at once, and then one each refusalOfAllEvery. So a stranger cannot fill the table.
const (
	refusals          = 10
	refusalEvery      = 6 * time.Second
	refusalsOfAll     = 100
	refusalOfAllEvery = time.Second
)

// acts reports whether a request to the route is an act, which the audit log has.
func (r Route) acts() bool {
	return r.Who == Operators && r.Method != http.MethodGet && r.Method != http.MethodHead
}

// beginAct writes the act into the audit log before the handler does it. A call that enqueues is written afterwards.
func (s *Server) beginAct(r Route) echo.HandlerFunc {
	if !r.acts() || r.enqueues {
		return r.Handler
	}
	return func(c echo.Context) error {
		state := requestOf(c)
		state.act.Who, state.act.Role = state.identity.User, state.identity.role()
		s.Audit.Begin(c.Request().Context(), state.act)
		return r.Handler(c)
	}
}

// recordAct writes into the audit log what came of an act, whichever step has answered it.
func (s *Server) recordAct(r Route, next echo.HandlerFunc) echo.HandlerFunc {
	if !r.acts() {
		return next
	}
	what := r.Method + " " + r.Path
	return func(c echo.Context) error {
		state := requestOf(c)
		state.act = &audit.Act{At: state.begun, What: what, Subject: r.subject(c), RequestID: state.id, Address: c.RealIP()}
		answered := false
		defer func() {
			if !answered { // the handler has panicked
				s.endAct(c, r, &Failure{Status: http.StatusInternalServerError})
			}
		}()
		err := next(c)
		answered = true
		s.endAct(c, r, err)
		return err
	}
}

// endAct writes what came of the request's act. Of what was refused it writes those of clients that said who they are, and not
// too many.
func (s *Server) endAct(c echo.Context, r Route, err error) {
	state := requestOf(c)
	who, act := state.identity, state.act
	act.Who, act.Role, act.Took = who.User, who.role(), time.Since(state.begun)
	act.Status, act.Code, act.TaskID = c.Response().Status, state.answered.Code, state.answered.TaskID
	if err != nil {
		act.Status, act.Message = outcomeOf(s.explain(err), state.id)
		act.Code = act.Status
	}
	ctx := c.Request().Context()
	switch {
	case !who.Operator:
		if act.Outcome() == audit.Refused && s.tellsOfRefusal(c, who) {
			s.Audit.Add(ctx, *act)
		}
	case r.enqueues && s.AuditWithoutEnqueues && act.Outcome() == audit.Done:
	default:
		s.Audit.End(ctx, act)
	}
}

// outcomeOf is what the audit log has of an error. It names the argument at fault and leaves out the text, which may quote what
// the client sent.
func outcomeOf(e *Failure, requestID string) (status int, msg string) {
	status = e.Status
	if status < http.StatusBadRequest || status > 599 {
		status = http.StatusInternalServerError
	}
	switch {
	case e.Field != "":
		return status, "the argument " + e.Field
	case status == http.StatusBadRequest:
		return status, http.StatusText(status)
	case e.Msg == (Text{}):
		return status, msgOfStatus(status, requestID).In(English)
	}
	return status, e.Msg.In(English)
}

// tellsOfRefusal reports whether the audit log gets a refused act.
func (s *Server) tellsOfRefusal(c echo.Context, who Identity) bool {
	_, given := Bearer(c.Request())
	if !given && who.User == "" {
		return false
	}
	client := who.User
	if client == "" {
		client = clientOf(c).String()
	}
	now := time.Now()
	return s.rates.refused.take(who.role()+" "+client, now) == 0 && s.rates.refusedOfAll.take(struct{}{}, now) == 0
}

// subject is what the request is about: the parameters in the path, and those of the query that the route names.
func (r Route) subject(c echo.Context) string {
	var parts []string
	for _, value := range c.ParamValues() {
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		parts = append(parts, value)
	}
	for _, name := range r.subjects {
		if value := c.QueryParam(name); value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	return strings.Join(parts, "/")
}
