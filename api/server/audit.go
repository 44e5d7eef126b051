package server

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/audit"
)

var auditParams = []string{"who", "what", "subject", "from", "to", "limit", "cursor"}

var msgNoAudit = Text{
	"这个服务没有数据库（PAIDUI_DATABASE_URL），操作记录只在日志里", "this service has no database (PAIDUI_DATABASE_URL): its acts are in the log alone",
}

// act is one of the audit log, as the API shows it.
type act struct {
	ID        int64         `json:"id"`
	At        time.Time     `json:"at"`
	Who       string        `json:"who"`
	Role      string        `json:"role"`
	What      string        `json:"what"`
	Subject   string        `json:"subject"`
	Outcome   audit.Outcome `json:"outcome"`
	Status    int           `json:"status"`
	Code      int           `json:"code"`
	Message   string        `json:"message"`
	TaskID    string        `json:"task_id,omitempty"`
	RequestID string        `json:"request_id"`
	Address   string        `json:"address"`
	MS        float64       `json:"duration_ms"`
}

type actPage struct {
	Acts []act   `json:"acts"`
	Next *string `json:"next_cursor"` // null on the last page
}

// listActs answers who did what, newest first.
func (s *Server) listActs(c echo.Context) error {
	if !s.Audit.Kept() {
		return notKept(msgNoAudit)
	}
	q := audit.Query{Who: c.QueryParam("who"), What: c.QueryParam("what"), Subject: c.QueryParam("subject"), Cursor: c.QueryParam("cursor")}
	var err error
	if q.From, err = timeParam(c, "from"); err != nil {
		return err
	}
	if q.To, err = timeParam(c, "to"); err != nil {
		return err
	}
	if q.Limit, err = QueryInt(c, "limit", audit.DefaultLimit, audit.MaxLimit); err != nil {
		return err
	}
	found, err := s.Audit.Search(c.Request().Context(), q)
	if err != nil {
		return err
	}
	page := actPage{Acts: make([]act, len(found.Acts))}
	for i, a := range found.Acts {
		page.Acts[i] = act{
			ID: a.ID, At: a.At, Who: a.Who, Role: a.Role, What: a.What, Subject: a.Subject, Outcome: a.Outcome(), Status: a.Status,
			Code: a.Code, Message: a.Message, TaskID: a.TaskID, RequestID: a.RequestID, Address: a.Address,
			MS: float64(a.Took.Microseconds()) / 1000,
		}
	}
	if found.Next != "" {
		page.Next = &found.Next
	}
	return OK(c, page)
}
