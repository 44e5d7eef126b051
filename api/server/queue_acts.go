package server

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// purgeBudget is how long a request purges, so that its answer comes within manyTimeout.
const purgeBudget = 40 * time.Second

var (
	msgQueuePaused     = Text{"队列已暂停", "the queue is paused"}
	msgQueueWasPaused  = Text{"队列此前已暂停", "the queue was paused before"}
	msgQueueResumed    = Text{"队列已恢复", "the queue runs again"}
	msgQueueWasRunning = Text{"队列没有暂停", "the queue was not paused"}
	msgPurged          = Text{"已清除", "the tasks are purged"}
	msgPurgedSome      = Text{"时间已到，还有任务没有清除，请再次请求", "the time is up, and there are tasks left: send the request again"}
	msgPurgeWould      = Text{"试运行：没有清除任何任务", "a dry run: nothing is purged"}
)

// actor is the name of who sends the request of an operator, as a pause keeps it.
func actor(c echo.Context) string {
	name := cmp.Or(IdentityOf(c).User, "operator")
	return strings.ToValidUTF8(name[:min(len(name), tasks.MaxActor)], "")
}

// pauseQueue keeps workers from a queue.
func (s *Server) pauseQueue(c echo.Context) error {
	pause, first, err := s.Tasks.PauseQueue(c.Request().Context(), pathName(c), actor(c))
	if err != nil {
		return err
	}
	msg := msgQueuePaused
	if !first {
		msg = msgQueueWasPaused
	}
	return Answer{Msg: msg, Data: map[string]any{"paused": pause, "changed": first}}.Send(c)
}

// resumeQueue gives a queue back to workers.
func (s *Server) resumeQueue(c echo.Context) error {
	was, err := s.Tasks.ResumeQueue(c.Request().Context(), pathName(c))
	if err != nil {
		return err
	}
	msg := msgQueueResumed
	if !was {
		msg = msgQueueWasRunning
	}
	return Answer{Msg: msg, Data: map[string]bool{"changed": was}}.Send(c)
}

type purgeBody struct {
	States []string `json:"states"`
	DryRun bool     `json:"dry_run"`
}

type purgeAnswer struct {
	DryRun bool `json:"dry_run"`
	tasks.Purged
	More bool `json:"more"` // the time is up, and there is something left
}

var errPurgeBudget = errors.New("the time for a purge is up")

// purgeQueue takes the tasks of some states off a queue, for as long as a request may.
func (s *Server) purgeQueue(c echo.Context) error {
	b, err := Body[purgeBody](c)
	if err != nil {
		return err
	}
	if len(b.States) > 2*len(tasks.PurgeStates()) {
		return BadRequest("states", Textf("states 应为 %v 中的若干个", "states must be some of %v", tasks.PurgeStates()))
	}
	opt := tasks.PurgeOptions{DryRun: b.DryRun, Reason: "purged by an operator"}
	for _, state := range b.States {
		opt.States = append(opt.States, tasks.PurgeState(state))
	}
	end := time.Now().Add(s.purgeBudget)
	opt.Progress = func(p tasks.Purged) error {
		if p.More() && !time.Now().Before(end) {
			return errPurgeBudget
		}
		return nil
	}
	p, err := s.Tasks.PurgeQueue(c.Request().Context(), pathName(c), opt)
	more := errors.Is(err, errPurgeBudget)
	if err != nil && !more {
		return err
	}
	msg := msgPurged
	switch {
	case b.DryRun:
		msg = msgPurgeWould
	case more:
		msg = msgPurgedSome
	}
	return Answer{Msg: msg, Data: purgeAnswer{b.DryRun, p, more}}.Send(c)
}
