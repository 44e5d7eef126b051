package server

import (
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
)

// The codes of an answer that is not an error.
const (
	codeOK = 100 // done
	codeNo = 101 // refused by a rule of the business
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

var msgOK = text{"成功", "OK"}

// ok answers 100 with data.
func ok(c echo.Context, data any) error {
	return answer(c, codeOK, msgOK, data, "")
}

// answer sends an answer that is not an error. Its HTTP status is 200, whatever the code.
func answer(c echo.Context, code int, msg text, data any, taskID string) error {
	return send(c, http.StatusOK, envelope{Code: code, Msg: msg.in(languageOf(c)), Data: data, TaskID: taskID})
}

func send(c echo.Context, status int, e envelope) error {
	h := c.Response().Header()
	h["Cache-Control"] = noStore // so the language needs no Vary
	h["Content-Language"] = languageOf(c).header()
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
