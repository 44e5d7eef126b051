package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// commandTimeout is for routes that wait for the answer of a worker.
const commandTimeout = tasks.MaxCommandWait + DefaultTimeout

// commandParams are those of every command to a worker.
var commandParams = []string{"command_id", "wait"}

var (
	msgWorkerDraining  = Text{"工作进程不再取新任务，正在执行的任务结束后退出", "the worker takes no tasks any more, and ends when those that run have"}
	msgUnknownWorker   = Text{"没有这个工作进程，或者它已经结束", "there is no such worker, or it has ended"}
	msgWorkerDied      = Text{"工作进程在回答之前已经结束；这个操作可能已经生效", "the worker has died before it answered; what it was told may have taken effect"}
	msgWorkerNoAnswer  = Text{"工作进程没有按时回答，这个操作已经撤回；请查看它的状态", "the worker did not answer in time, and the command was withdrawn; look how it is"}
	msgWorkerBusy      = Text{"这个工作进程还有太多操作没有执行，请稍后再试", "too many commands wait for this worker, try again later"}
	msgWorkerIsOlder   = Text{"这个工作进程的版本较旧，不支持这个操作", "the worker is of an earlier build, which takes no such command"}
	msgWorkerIsEnding  = Text{"这个工作进程正在退出，不再接受这个操作", "the worker drains already: it takes nothing any more, and ends"}
	msgWorkerLogFixed  = Text{"这个工作进程的日志级别不能修改", "the worker's log has no level that can be set"}
	msgWorkerSlotFixed = Text{"这个工作进程的并发数不能修改", "the worker can't change its number of slots"}
)

// workerCommand answers how a worker is when it has done what it was told.
func workerCommand(c echo.Context, msg Text, tell func(ctx context.Context, name string, opts ...tasks.CommandOption) (*tasks.Worker, error)) error {
	opts, err := commandOptions(c)
	if err != nil {
		return err
	}
	w, err := tell(c.Request().Context(), pathName(c), opts...)
	if err != nil {
		return err
	}
	return Answer{Msg: msg, Data: w}.Send(c)
}

// commandOptions reads ?command_id= and ?wait=.
func commandOptions(c echo.Context) ([]tasks.CommandOption, error) {
	var opts []tasks.CommandOption
	if id := c.QueryParam("command_id"); id != "" {
		opts = append(opts, tasks.CommandID(id))
	}
	if given := c.QueryParam("wait"); given != "" {
		wait, err := waitParam(c)
		if err != nil || wait <= 0 || wait > tasks.MaxCommandWait {
			most := int(tasks.MaxCommandWait / time.Second)
			return nil, BadRequest("wait", Textf("wait 应大于 0，不超过 %d 秒，如 10s", "wait must be more than 0 and at most %d seconds, such as 10s", most))
		}
		opts = append(opts, tasks.CommandWait(wait))
	}
	return opts, nil
}

func (s *Server) resizeWorker(c echo.Context) error {
	body, err := Body[struct {
		Concurrency int `json:"concurrency"`
	}](c)
	if err != nil {
		return err
	}
	return workerCommand(c, msgOK, func(ctx context.Context, name string, opts ...tasks.CommandOption) (*tasks.Worker, error) {
		return s.Tasks.ResizeWorker(ctx, name, body.Concurrency, opts...)
	})
}

func (s *Server) setWorkerQueues(c echo.Context) error {
	body, err := Body[struct {
		Queues map[string]int `json:"queues"`
	}](c)
	if err != nil {
		return err
	}
	return workerCommand(c, msgOK, func(ctx context.Context, name string, opts ...tasks.CommandOption) (*tasks.Worker, error) {
		return s.Tasks.SetWorkerQueues(ctx, name, body.Queues, opts...)
	})
}

func (s *Server) setWorkerLogLevel(c echo.Context) error {
	body, err := Body[struct {
		Level string `json:"level"`
	}](c)
	if err != nil {
		return err
	}
	return workerCommand(c, msgOK, func(ctx context.Context, name string, opts ...tasks.CommandOption) (*tasks.Worker, error) {
		return s.Tasks.SetWorkerLogLevel(ctx, name, body.Level, opts...)
	})
}

func (s *Server) pauseWorker(c echo.Context) error {
	return workerCommand(c, msgOK, s.Tasks.PauseWorker)
}

func (s *Server) resumeWorker(c echo.Context) error {
	return workerCommand(c, msgOK, s.Tasks.ResumeWorker)
}

func (s *Server) drainWorker(c echo.Context) error {
	return workerCommand(c, msgWorkerDraining, s.Tasks.DrainWorker)
}

// pingWorkers lists all workers with how long each took to answer.
func (s *Server) pingWorkers(c echo.Context) error {
	opts, err := commandOptions(c)
	if err != nil {
		return err
	}
	list, err := s.Tasks.PingWorkers(c.Request().Context(), opts...)
	if err != nil {
		return err
	}
	return OK(c, map[string][]tasks.Ping{"workers": list})
}

// workerFailure explains an error of a command to a worker. It returns nil for any other error.
func workerFailure(err error) *Failure {
	var refused *tasks.WorkerError
	conflict := func(msg Text) *Failure {
		return &Failure{Status: http.StatusConflict, Field: "name", Msg: msg, Cause: err}
	}
	switch {
	case errors.Is(err, tasks.ErrUnknownWorker):
		return NotFound("name", msgUnknownWorker)
	case errors.Is(err, tasks.ErrWorkerDied):
		return conflict(msgWorkerDied)
	case errors.Is(err, tasks.ErrNoAnswer):
		return &Failure{Status: http.StatusGatewayTimeout, Field: "name", Msg: msgWorkerNoAnswer, Cause: err, Quiet: true}
	case errors.Is(err, tasks.ErrWorkerBusy):
		return &Failure{Status: http.StatusServiceUnavailable, Field: "name", RetryAfter: retryWhenDown, Msg: msgWorkerBusy, Cause: err, Quiet: true}
	case !errors.As(err, &refused):
		return nil
	}
	switch refused.Reason {
	case tasks.WorkerIsDraining:
		return conflict(msgWorkerIsEnding)
	case tasks.WorkerLogFixed:
		return conflict(msgWorkerLogFixed)
	case tasks.WorkerSlotsFixed:
		return conflict(msgWorkerSlotFixed)
	case tasks.WorkerAmbiguous:
		ids := strings.Join(refused.IDs, ", ")
		return conflict(Text{
			fmt.Sprintf("有 %d 个工作进程叫这个名字，请使用 id：%s", len(refused.IDs), ids),
			fmt.Sprintf("%d workers have this name: use the id of one: %s", len(refused.IDs), ids),
		})
	}
	return conflict(msgWorkerIsOlder)
}
