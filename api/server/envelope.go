package server

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// The codes of an answer that is not an error.
const (
	codeOK = 100 // done
	codeNo = 101 // the business said no
)

// envelope is the form of every answer. On an error Code is the HTTP status, and Field names the culprit if there is
// one.
type envelope struct {
	Code   int    `json:"code"`
	Msg    string `json:"msg"`
	Data   any    `json:"data"`
	TaskID string `json:"task_id,omitempty"`
	Field  string `json:"field,omitempty"`
}

var msgOK = text{"成功", "OK"}

// ok answers 100 with data.
func ok(c echo.Context, data any) error {
	return say(c, codeOK, msgOK, data, "")
}

// say answers one of the business's codes, all of which are HTTP 200.
func say(c echo.Context, code int, msg text, data any, taskID string) error {
	return send(c, http.StatusOK, envelope{Code: code, Msg: msg.in(languageOf(c)), Data: data, TaskID: taskID})
}

func send(c echo.Context, status int, e envelope) error {
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Language")
	h.Set("Content-Language", languageOf(c).tag())
	return c.JSON(status, e)
}
