package server

import (
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/schedule"
)

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
