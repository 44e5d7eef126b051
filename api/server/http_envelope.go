package server

import (
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
)

// The codes of an answer that is not an error.
const (
	CodeOK         = 100 // done
	CodeRefused    = 101 // by a rule of the business
	CodeUnfinished = 102 // not yet; it is being tried again
	CodeQueued     = 103 // waits or runs
)

// envelope is the form of every answer. On an error, Code is the HTTP status and Field names the argument at fault, if
// there is one.
type envelope struct {
	Code   int    `json:"code"`
	Msg    string `json:"msg"`
	Data   any    `json:"data"`
	TaskID string `json:"task_id,omitempty"`
	Field  string `json:"field,omitempty"`

	Warnings []warning `json:"warnings,omitempty"` // of a task that was made
}

var (
	msgOK         = Text{"成功", "OK"}
	msgTaskQueued = Text{"任务已提交", "the task is queued"}
)

// Answer is an answer that is not an error: {"code", "msg", "data"}, and "task_id" where there is one. Its HTTP status is 200,
// whatever the code.
type Answer struct {
	Code   int    // CodeOK when 0
	Msg    Text   // "OK" when empty
	Data   any    // as encoding/json writes it, or Raw; nil is null
	TaskID string // of a task that was made, or was there already
}

// Send sends it.
func (a Answer) Send(c echo.Context) error {
	if a.Code == 0 {
		a.Code = CodeOK
	}
	if a.Msg == (Text{}) {
		a.Msg = msgOK
	}
	return send(c, http.StatusOK, envelope{Code: a.Code, Msg: a.Msg.In(LanguageOf(c)), Data: a.Data, TaskID: a.TaskID})
}

// OK answers {"code": 100, "msg": "OK", "data": data}.
func OK(c echo.Context, data any) error { return Answer{Data: data}.Send(c) }

// Queued answers {"code": 100, "msg": "the task is queued", "data": null, "task_id": id}: the client asks for what becomes
// of it at /v1/tasks/{id}.
func Queued(c echo.Context, id string) error { return Answer{Msg: msgTaskQueued, TaskID: id}.Send(c) }

func send(c echo.Context, status int, e envelope) error {
	if state := stateOf(c); state != nil {
		state.answered = answered{e.Code, e.TaskID}
	}
	h := c.Response().Header()
	h["Cache-Control"] = noStore // so the language needs no Vary
	h["Content-Language"] = LanguageOf(c).header()
	if c.Request().URL.RawQuery != "" {
		return c.JSON(status, e) // Echo indents it for ?pretty
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	raw, err := e.appendTo((*buf)[:0])
	if err != nil {
		return err
	}
	if cap(raw) <= maxBuffer {
		*buf = raw
	}
	if h["Content-Type"] == nil {
		h["Content-Type"] = contentJSON
	}
	c.Response().WriteHeader(status)
	_, err = c.Response().Write(raw)
	return err
}

// maxBuffer is the largest buffer that goes back to the pool, in bytes.
const maxBuffer = 16 << 10

// buffers hold one request or answer body each. The pool has pointers, since a slice in an interface is allocated.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, 1<<10)) }}

// Header values that every answer shares. Nothing may write to them: net/http's Add and Set do not.
var (
	noStore     = []string{"no-store"}
	contentJSON = []string{echo.MIMEApplicationJSON}
)
