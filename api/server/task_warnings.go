package server

import (
	"context"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// warning is a problem of a task that was made nevertheless.
type warning struct {
	Code tasks.WarningCode `json:"code"`
	Msg  string            `json:"msg"`
}

// warningsWait bounds the time that all calls of a batch wait for warnings.
const warningsWait = 100 * time.Millisecond

// warnings returns the warnings about a call that was made, none once ctx has ended. Each is logged once a minute.
func (s *Server) warnings(ctx context.Context, c echo.Context, call tasks.Signature) []warning {
	var list []warning
	for _, w := range s.Tasks.Warnings(ctx, call) {
		if s.warned.shouldLog(w, time.Now()) {
			s.log.WarnContext(ctx, "a task was made that no worker which is up can run",
				"warning", w.Code, "task", w.Task, "queue", w.Queue)
		}
		list = append(list, warning{w.Code, warningText(w).In(LanguageOf(c))})
	}
	return list
}

func warningText(w tasks.Warning) Text {
	if w.Code == tasks.WarnNoWorker {
		return Textf("没有在线的 worker 处理队列 %s：任务会等到有为止", "no worker that is up takes from queue %s: the task waits for one", w.Queue)
	}
	return Textf("处理队列 %[2]s 的 worker 都没有任务 %[1]s 的处理函数：重试用尽后任务会失败，除非在此之前有了能处理它的 worker",
		"no worker that is up and takes from queue %[2]s has a handler for task %[1]s: it fails when its retries are used up, unless one comes that has", w.Task, w.Queue)
}

const (
	warnPause = time.Minute // between two lines in the log of one warning
	maxWarned = 1000        // warnings that are remembered
)

// warned remembers the warnings that were logged lately. The zero value is ready. It is safe for concurrent use.
type warned struct {
	mu   sync.Mutex
	last map[tasks.Warning]time.Time
}

// shouldLog reports whether to log the warning now. If so, it remembers that it was logged.
func (w *warned) shouldLog(of tasks.Warning, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, logged := w.last[of]; logged && now.Sub(last) < warnPause {
		return false
	}
	if w.last == nil || len(w.last) >= maxWarned {
		w.last = make(map[tasks.Warning]time.Time)
	}
	w.last[of] = now
	return true
}
