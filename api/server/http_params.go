package server

import (
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// PathID is a parameter of the path as the id of a row, which is positive.
func PathID(c echo.Context, name string) (int64, error) {
	id, err := strconv.ParseInt(c.Param(name), 10, 64)
	if err != nil || id <= 0 {
		return 0, BadRequest(name, Textf("%s 应为正整数（不能过大）", "%s must be a positive integer, and not too large", name))
	}
	return id, nil
}

// QueryInt reads a number of the query, 1 to most; absent, it is fallback.
func QueryInt(c echo.Context, name string, fallback, most int) (int, error) {
	given := c.QueryParam(name)
	if given == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > most {
		return 0, BadRequest(name, Textf("%s 应为 1 到 %d 的整数", "%s must be an integer from 1 to %d", name, most))
	}
	return n, nil
}

var msgTaskID = Text{
	"任务号不正确：应为 1 到 128 个字母、数字或 . _ : @ -，不能只是 . 或 ..",
	"not a task id: 1 to 128 letters, digits or any of . _ : @ -, but not . or .. alone",
}

// CheckTaskID refuses an argument that can not be the id of a task.
func CheckTaskID(field, id string) error {
	if !tasks.ValidID(id) {
		return BadRequest(field, msgTaskID)
	}
	return nil
}

// pathTaskID is the route's :id as the id of a task.
func pathTaskID(c echo.Context) (string, error) {
	id, err := url.PathUnescape(c.Param("id"))
	if err != nil || !tasks.ValidID(id) {
		return "", BadRequest("id", msgTaskID)
	}
	return id, nil
}

// maxWait is the longest ?wait=.
const maxWait = time.Minute

// waitParam reads ?wait= as a duration ("10s") or a number of seconds; absent, it is 0.
func waitParam(c echo.Context) (time.Duration, error) {
	given := c.QueryParam("wait")
	if given == "" {
		return 0, nil
	}
	if seconds, err := strconv.ParseUint(given, 10, 16); err == nil {
		given = strconv.FormatUint(seconds, 10) + "s"
	}
	d, err := time.ParseDuration(given)
	if err != nil || d < 0 || d > maxWait {
		return 0, BadRequest("wait", Text{"wait 应为 0 到 60 秒，如 10s", "wait must be 0 to 60 seconds, such as 10s"})
	}
	return d, nil
}
