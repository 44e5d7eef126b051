package server

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

const (
	defaultSchedules = 100
	maxSchedules     = 1000

	scheduleTicksDefault = 50
	scheduleTicksMost    = 200
)

var (
	msgNoSchedules     = Text{"这个服务没有定时任务", "this service has no schedules"}
	msgNoScheduleTable = Text{"这个服务没有数据库（PAIDUI_DATABASE_URL），定时任务只能在文件中修改", "this service has no database (PAIDUI_DATABASE_URL): schedules are changed in their file alone"}
	msgUnknownSchedule = Text{"没有这个定时任务", "there is no such schedule"}
	msgOlderSchedulers = Text{"生效的调度进程版本较旧，不支持修改；请先升级全部调度进程", "the schedulers in force are of an earlier build, which takes no changes: upgrade all of them first"}
)

// scheduleView is an entry as the API shows it. The times of ticks are nil while it is paused, has ended, or has not ticked.
type scheduleView struct {
	Name     string          `json:"name"`
	Source   string          `json:"source"`
	Task     string          `json:"task"`
	Queue    string          `json:"queue"`
	Spec     string          `json:"spec"`
	Timezone string          `json:"timezone"`
	Paused   bool            `json:"paused"`
	Override *ticks.Override `json:"override"` // nil: the file alone says how it is, or it is the table's

	InForce      bool       `json:"in_force"` // false: the schedulers have not learned yet what was changed
	Shadows      bool       `json:"shadows"`  // the table has an entry of this name, too, which rests
	By           *string    `json:"changed_by"`
	At           *time.Time `json:"changed_at"`
	Misfire      string     `json:"misfire"`
	Overlap      string     `json:"overlap"`
	OverlapLimit int        `json:"overlap_limit"`
	MaxTicks     int64      `json:"max_ticks"`
	Ticks        int64      `json:"ticks"` // of those of max_ticks, how many were
	Durable      bool       `json:"durable"`
	Problem      string     `json:"problem"` // why it can't be run here

	NextTick   *time.Time `json:"next_tick"`
	LastTick   *time.Time `json:"last_tick"`
	LastTaskID string     `json:"last_task_id"`

	Entry json.RawMessage `json:"entry,omitempty"` // of one schedule: what the table has of it

	announced ticks.Entry
	base      string    // of the file's entry
	ownPaused bool      // in the file
	nextByNow time.Time // what the next tick is once it's in force; zero for none
}

type schedulePage struct {
	Schedules []*scheduleView `json:"schedules"`
	Next      *string         `json:"next_cursor"` // null on the last page
}

// reader reads entries as schedulers do.
func (s *Server) reader() schedule.Reader {
	return schedule.ReaderOf(s.Catalog, s.Tasks, s.Location)
}

// schedules are all entries by name: those that schedulers have announced, as the table has them now. While the database is away,
// they are as announced.
func (s *Server) schedules(ctx context.Context) (map[string]*scheduleView, error) {
	if s.Ticks == nil {
		return nil, notKept(msgNoSchedules)
	}
	announced, err := s.Ticks.Announced(ctx)
	if err != nil {
		return nil, err
	}
	views := make(map[string]*scheduleView, len(announced))
	for _, e := range announced {
		views[e.Name] = viewOf(e)
	}
	if s.Schedules == nil {
		return views, nil
	}
	table, err := s.Schedules.Read(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		s.log.WarnContext(ctx, "the table of schedules can't be read: schedules are listed as schedulers know them", "error", err)
		return views, nil
	}
	s.withTable(views, table)
	return views, nil
}

func viewOf(e ticks.Entry) *scheduleView {
	v := &scheduleView{
		Name: e.Name, Source: e.Source, Task: e.Task, Queue: e.Queue, Spec: e.Spec, Timezone: e.Timezone, Paused: e.Paused,
		Override: e.Override, InForce: true, Shadows: e.Shadows, At: e.At, Misfire: e.Misfire, Overlap: e.Overlap,
		OverlapLimit: e.OverlapLimit, MaxTicks: e.MaxTicks, Durable: e.Durable, announced: e, base: e.Base, ownPaused: e.OwnPaused,
	}
	if v.Source == "" { // of a scheduler without a table
		v.Source, v.Misfire, v.Overlap = schedule.SourceFile, string(schedule.MisfireOnce), string(schedule.OverlapAllow)
	}
	if v.Source == schedule.SourceTable {
		v.By = &e.By
	}
	return v
}

// withTable brings announced entries up to what the table has.
func (s *Server) withTable(views map[string]*scheduleView, table schedule.Snapshot) {
	entries, overrides := make(map[string]schedule.Row), make(map[string]schedule.Row)
	for _, row := range table.Rows {
		if row.Kind == schedule.KindEntry {
			entries[row.Name] = row
		} else {
			overrides[row.Name] = row
		}
	}
	for name, v := range views {
		row, has := entries[name]
		switch {
		case v.Source == schedule.SourceFile:
			v.Shadows = has
			s.withOverride(v, overrides)
		case !has:
			delete(views, name) // it was deleted
		case v.At == nil || !v.At.Equal(row.At):
			s.show(v, row)
		}
	}
	for name, row := range entries {
		if views[name] == nil {
			v := &scheduleView{Name: name, Source: schedule.SourceTable}
			s.show(v, row)
			views[name] = v
		}
	}
}

// withOverride shows what the table has of an entry of the file.
func (s *Server) withOverride(v *scheduleView, overrides map[string]schedule.Row) {
	row, has := overrides[v.Name]
	switch {
	case !has && v.Override == nil:
	case !has: // it was taken back
		v.Override, v.Paused, v.InForce = nil, v.ownPaused, false
	case v.Override != nil && v.Override.At.Equal(row.At):
	default:
		changed := row.Entry != "" && row.Base == v.base
		if changed {
			s.show(v, row)
			v.Source, v.By, v.At = schedule.SourceFile, nil, nil
		} else if row.Paused != nil {
			v.Paused = *row.Paused
		}
		v.InForce = !changed && row.Paused == nil && v.Override == nil
		v.Override = nil
		if changed || row.Paused != nil {
			v.Override = &ticks.Override{Paused: row.Paused, Changed: changed, By: row.By, At: row.At}
		}
	}
}

// show shows the entry of a row that schedulers do not have yet.
func (s *Server) show(v *scheduleView, row schedule.Row) {
	v.InForce, v.By, v.At = false, &row.By, &row.At
	e, err := s.reader().EntryOf(row)
	if err != nil {
		v.Problem = err.Error()
		return
	}
	v.Task, v.Queue, v.Spec, v.Timezone, v.Paused = e.Task.Name(), e.Queue, e.Rule.String(), e.Location.String(), e.Paused
	v.Misfire, v.Overlap, v.OverlapLimit, v.MaxTicks, v.Durable = string(e.Misfire), string(e.Overlap), e.OverlapLimit, e.MaxTicks, e.Options.Durable
	if !e.Paused {
		v.nextByNow = e.Rule.Next(time.Now())
	}
}

// withTicks adds what became of the entries' ticks.
func (s *Server) withTicks(ctx context.Context, views []*scheduleView) error {
	asked := make([]ticks.Entry, len(views))
	for i, v := range views {
		asked[i] = ticks.Entry{Name: v.Name}
	}
	statuses, err := s.Ticks.Statuses(ctx, asked)
	if err != nil {
		return err
	}
	for i, v := range views {
		known := &statuses[i]
		v.LastTick, v.LastTaskID = known.LastTick, known.LastTaskID
		if v.MaxTicks > 0 {
			v.Ticks = known.Count
		}
		switch {
		case v.Paused, v.MaxTicks > 0 && v.Ticks >= v.MaxTicks:
		case v.InForce:
			v.NextTick = known.NextTick
		case !v.nextByNow.IsZero():
			v.NextTick = &v.nextByNow
		}
	}
	return nil
}

// listSchedules answers a page of the periodic tasks, by name.
func (s *Server) listSchedules(c echo.Context) error {
	limit, err := QueryInt(c, "limit", defaultSchedules, maxSchedules)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	views, err := s.schedules(ctx)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(views))
	after := c.QueryParam("cursor")
	at, found := slices.BinarySearchFunc(names, after, strings.Compare)
	if found && after != "" {
		at++
	}
	page := schedulePage{Schedules: []*scheduleView{}}
	for _, name := range names[at:] {
		if len(page.Schedules) == limit {
			page.Next = &page.Schedules[limit-1].Name
			break
		}
		page.Schedules = append(page.Schedules, views[name])
	}
	if err := s.withTicks(ctx, page.Schedules); err != nil {
		return err
	}
	return OK(c, page)
}

// findSchedule returns an entry, or a 404.
func (s *Server) findSchedule(ctx context.Context, name string) (*scheduleView, error) {
	views, err := s.schedules(ctx)
	if err != nil {
		return nil, err
	}
	v, ok := views[name]
	if !ok {
		return nil, NotFound("name", msgUnknownSchedule)
	}
	return v, nil
}

// oneSchedule answers an entry, with what the table has of it.
func (s *Server) oneSchedule(c echo.Context) error {
	v, err := s.detailed(c, pathName(c))
	if err != nil {
		return err
	}
	return OK(c, v)
}

func (s *Server) detailed(c echo.Context, name string) (*scheduleView, error) {
	ctx := c.Request().Context()
	v, err := s.findSchedule(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := s.withTicks(ctx, []*scheduleView{v}); err != nil {
		return nil, err
	}
	if s.Schedules == nil {
		return v, nil
	}
	entry, override, err := s.Schedules.Named(ctx, name)
	if err != nil {
		s.log.WarnContext(ctx, "the table of schedules can't be read: a schedule is shown without its entry", "error", err)
		return v, nil
	}
	row := entry
	if v.Source == schedule.SourceFile {
		row = override
	}
	if row == nil || row.Entry == "" {
		return v, nil
	}
	text, err := s.reader().Text(*row)
	if err != nil {
		v.Problem = err.Error()
		return v, nil
	}
	v.Entry, err = s.visibleEntry(c, text)
	return v, err
}

// hiddenFromObservers are the fields of an entry that may hold arguments.
var hiddenFromObservers = []string{"args", "headers", "on_success", "on_failure", "unique_key"}

// visibleEntry is the part of an entry that who asks may see.
func (s *Server) visibleEntry(c echo.Context, text []byte) (json.RawMessage, error) {
	if requestOf(c).identity.Operator || s.ObserversSeeArguments {
		return text, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	for _, name := range hiddenFromObservers {
		delete(fields, name)
	}
	return json.Marshal(fields)
}
