package server

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/sms"
)

// outboxRow is a message as the development provider kept it.
type outboxRow struct {
	Mobile  string    `json:"mobile"`
	Code    string    `json:"code"`
	Content string    `json:"content"`
	SentAt  time.Time `json:"sent_at"`
}

const maxOutbox = 20

// listOutbox shows the codes of a number, with which one logs in as its owner: to operators, or with OutboxPublic to
// anybody. It is for development and exists only with the outbox provider.
func (s *Server) listOutbox(c echo.Context) error {
	mobile := c.QueryParam("mobile")
	if !sms.ValidMobile(mobile) {
		return badRequest("mobile", msgMobile)
	}
	messages, err := sms.OutboxMessages(c.Request().Context(), s.DB, mobile, maxOutbox)
	if err != nil {
		return err
	}
	list := make([]outboxRow, len(messages))
	for i, m := range messages {
		list[i] = outboxRow{Mobile: m.Mobile, Code: m.Code, Content: m.Content, SentAt: m.UpdatedAt.UTC()}
	}
	return ok(c, list)
}
