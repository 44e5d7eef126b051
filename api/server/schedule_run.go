package server

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/schedule"
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
	for {
		a, err := s.Ticks.Run(ctx, rand.Text(), v.Name, max(time.Until(until), runAgain))
		if err != nil || !a.Unknown || v.InForce || !time.Now().Before(until) {
			return a, err
		}
		timer := time.NewTimer(runAgain)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return a, ctx.Err()
		}
	}
}

// tickView is what became of a tick.
type tickView struct {
	Due        time.Time    `json:"due"`
	EnqueuedAt *time.Time   `json:"enqueued_at"` // null when it was left out
	Lateness   float64      `json:"lateness_s"`  // of a task that was enqueued
	TaskID     string       `json:"task_id"`
	State      *tasks.State `json:"state"`   // of the task; null without one, or when it is forgotten
	Skipped    *string      `json:"skipped"` // why it was left out
	Ticks      int          `json:"ticks"`   // how many ticks were left out together
	Manual     bool         `json:"manual"`
}

type tickPage struct {
	Ticks []tickView `json:"ticks"`
	Next  *string    `json:"next_cursor"`
}

// scheduleTicks answers what became of an entry's ticks, the newest first.
func (s *Server) scheduleTicks(c echo.Context) error {
	limit, err := QueryInt(c, "limit", scheduleTicksDefault, scheduleTicksMost)
	if err != nil {
		return err
	}
	before, skip, err := tickCursor(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	v, err := s.findSchedule(ctx, pathName(c))
	if err != nil {
		return err
	}
	all, err := s.Ticks.Ticks(ctx, v.Name, 0, ticks.Logged)
	if err != nil {
		return err
	}
	rest := recordsAfter(all, before, skip)
	page := tickPage{Ticks: []tickView{}}
	for _, r := range rest[:min(limit, len(rest))] {
		page.Ticks = append(page.Ticks, viewOfTick(r))
	}
	if len(rest) > limit {
		last, same := rest[limit-1].Decided, 0
		for _, r := range all[:len(all)-len(rest)+limit] {
			if r.Decided.Equal(last) {
				same++
			}
		}
		next := strconv.FormatInt(last.UnixMilli(), 10) + "-" + strconv.Itoa(same)
		page.Next = &next
	}
	if err := s.withStates(ctx, v.Queue, page.Ticks); err != nil {
		return err
	}
	return OK(c, page)
}

// recordsAfter are the records after a cursor: those from before a time in milliseconds, and of that time all but the first skip.
func recordsAfter(all []ticks.Record, before int64, skip int) []ticks.Record {
	if before == 0 {
		return all
	}
	same := 0
	for i, r := range all {
		at := r.Decided.UnixMilli()
		if at == before {
			same++
		}
		if at < before || at == before && same > skip {
			return all[i:]
		}
	}
	return nil
}

func tickCursor(c echo.Context) (before int64, skip int, err error) {
	given := c.QueryParam("cursor")
	if given == "" {
		return 0, 0, nil
	}
	at, n, _ := strings.Cut(given, "-")
	before, err1 := strconv.ParseInt(at, 10, 64)
	skip, err2 := strconv.Atoi(n)
	if err1 != nil || err2 != nil || before <= 0 || skip < 0 {
		return 0, 0, BadRequest("cursor", Text{"cursor 不是这里给出的", "cursor is not one that this route gave"})
	}
	return before, skip, nil
}

func viewOfTick(r ticks.Record) tickView {
	v := tickView{Due: r.Due, TaskID: r.TaskID, Ticks: r.Ticks, Manual: r.What == ticks.LogManual}
	if r.TaskID == "" {
		v.Skipped = &r.What
		return v
	}
	v.EnqueuedAt = &r.Decided
	if !v.Manual {
		v.Lateness = max(r.Decided.Sub(r.Due).Seconds(), 0)
	}
	return v
}

// withStates adds how the tasks stand now.
func (s *Server) withStates(ctx context.Context, queue string, list []tickView) error {
	refs := make([]broker.Ref, 0, len(list))
	at := make([]int, 0, len(list))
	for i, v := range list {
		if v.TaskID != "" {
			refs, at = append(refs, broker.Ref{Queue: queue, ID: v.TaskID}), append(at, i)
		}
	}
	infos, err := s.Tasks.Infos(ctx, refs)
	if err != nil {
		return err
	}
	for k, i := range at {
		info := infos[k]
		if info == nil { // in another queue, or forgotten
			if info, err = s.Tasks.Info(ctx, list[i].TaskID); errors.Is(err, tasks.ErrNotFound) {
				info, err = s.past(ctx, list[i].TaskID)
			}
			if errors.Is(err, tasks.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
		}
		list[i].State = &info.State
	}
	return nil
}

type previewView struct {
	Ticks   []time.Time  `json:"ticks"`
	Changes []zoneChange `json:"changes"`
	Words   string       `json:"words"`
}

type zoneChange struct {
	At   time.Time `json:"at"`
	From string    `json:"from_offset"`
	To   string    `json:"to_offset"`
}

const (
	defaultPreview = 5
	previewChanges = 2
)

// previewSchedule answers when a rule ticks.
func (s *Server) previewSchedule(c echo.Context) error {
	body, err := Body[entryBody](c)
	if err != nil {
		return err
	}
	count := defaultPreview
	if given, ok := body.Fields["count"]; ok {
		if count, err = strconv.Atoi(string(given)); err != nil || count < 1 || count > schedule.MaxPreview {
			return BadRequest("count", Textf("count 应为 1 到 %d 的整数", "count must be an integer from 1 to %d", schedule.MaxPreview))
		}
	}
	text, err := body.plain("count")
	if err != nil {
		return err
	}
	rule, loc, err := s.reader().ReadRule(text)
	if err != nil {
		return badEntry(err)
	}
	if err := stillTicks(rule, body); err != nil {
		return err
	}
	now := time.Now()
	zh, en := schedule.Words(rule)
	v := previewView{Words: Text{zh, en}.In(LanguageOf(c)), Ticks: []time.Time{}, Changes: []zoneChange{}}
	for _, tick := range schedule.Upcoming(rule, now, count) {
		v.Ticks = append(v.Ticks, tick.In(loc))
	}
	for _, change := range schedule.Changes(loc, now, previewChanges) {
		v.Changes = append(v.Changes, zoneChange{change.At.In(loc), offset(change.FromOffset), offset(change.ToOffset)})
	}
	return OK(c, v)
}

// offset writes seconds east of UTC as +08:00.
func offset(seconds int) string {
	return time.Unix(0, 0).In(time.FixedZone("", seconds)).Format("-07:00")
}
