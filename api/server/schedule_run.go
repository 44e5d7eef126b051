package server

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/ticks"
)

var (
	msgRunNow         = Text{"任务已提交", "the task is enqueued"}
	msgRunDuplicate   = Text{"已有一个相同的任务没有结束，由它代替", "a unique task that has not ended stands for it"}
	msgNoScheduler    = Text{"没有调度进程回答，请求已经撤回", "no scheduler answers, and the request was withdrawn"}
	msgRunUnsure      = Text{"调度进程已经取走请求而没有按时回答，任务可能已经提交：请查看执行记录", "a scheduler has taken the request and not answered in time, and the task may be enqueued: look at the ticks"}
	msgTooManyRuns    = Text{"等待调度进程的请求太多，请稍后再试", "too many requests wait for a scheduler, try again later"}
	msgScheduleNotYet = Text{"调度进程还没有得到这个定时任务，请稍后再试", "no scheduler has this schedule yet, try again later"}
)

const (
	// runWait is how long a request to run an entry waits for a scheduler.
	runWait = 5 * time.Second
	// runAgain is how long it waits for schedulers to learn of an entry that is new.
	runAgain = 300 * time.Millisecond
)

// runSchedule has a scheduler enqueue an entry's task now.
func (s *Server) runSchedule(c echo.Context) error {
	ctx := c.Request().Context()
	v, err := s.findSchedule(ctx, pathName(c))
	if err != nil {
		return err
	}
	a, err := s.runNow(ctx, v)
	unavailable := func(msg Text) error {
		return &Failure{Status: http.StatusServiceUnavailable, Field: "name", RetryAfter: retryWhenDown, Msg: msg, Cause: err, Quiet: true}
	}
	switch {
	case errors.Is(err, ticks.ErrNoScheduler):
		return unavailable(msgNoScheduler)
	case errors.Is(err, ticks.ErrRunUnsure):
		return unavailable(msgRunUnsure)
	case errors.Is(err, ticks.ErrTooManyRuns):
		return unavailable(msgTooManyRuns)
	case err != nil:
		return err
	case a.Unknown:
		return unavailable(msgScheduleNotYet)
	case a.Full:
		return tasks.ErrQueueFull
	case a.Refused != "":
		return conflict("name", Textf("任务无法提交：%s", "the task can't be enqueued: %s", a.Refused))
	case a.Duplicate:
		return Answer{Code: CodeRefused, Msg: msgRunDuplicate, TaskID: a.TaskID}.Send(c)
	}
	return Answer{Msg: msgRunNow, TaskID: a.TaskID}.Send(c)
}

func (s *Server) runNow(ctx context.Context, v *scheduleView) (ticks.RunAnswer, error) {
	until := time.Now().Add(runWait)
	for !v.InForce && time.Now().Before(until) { // else a scheduler might enqueue what the entry was before
		if err := sleep(ctx, runAgain); err != nil {
			return ticks.RunAnswer{}, err
		}
		now, err := s.findSchedule(ctx, v.Name)
		if err != nil {
			return ticks.RunAnswer{}, err
		}
		v = now
	}
	for {
		a, err := s.Ticks.Run(ctx, rand.Text(), v.Name, max(time.Until(until), runAgain))
		if err != nil || !a.Unknown || v.InForce || !time.Now().Before(until) {
			return a, err
		}
		if err := sleep(ctx, runAgain); err != nil {
			return a, err
		}
	}
}

// sleep returns after a while, or with ctx's error when that ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
