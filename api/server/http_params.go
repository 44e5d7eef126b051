package server

import (
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// pathID is the route's :id as the id of a row.
func pathID(c echo.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, badRequest("id", text{"id 应为正整数（不能过大）", "id must be a positive integer, and not too large"})
	}
	return id, nil
}

var msgTaskID = text{
	"任务号不正确：应为 1 到 128 个字母、数字或 . _ : @ -，不能只是 . 或 ..",
	"not a task id: 1 to 128 letters, digits or any of . _ : @ -, but not . or .. alone",
}

// pathTaskID is the route's :id as the id of a task.
func pathTaskID(c echo.Context) (string, error) {
	id, err := url.PathUnescape(c.Param("id"))
	if err != nil || !tasks.ValidID(id) {
		return "", badRequest("id", msgTaskID)
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
		return 0, badRequest("wait", text{"wait 应为 0 到 60 秒，如 10s", "wait must be 0 to 60 seconds, such as 10s"})
	}
	return d, nil
}
