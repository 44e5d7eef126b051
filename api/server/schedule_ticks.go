package server

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/ticks"
)

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
