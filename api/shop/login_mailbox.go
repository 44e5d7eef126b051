package shop

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/tasks/sms"
)

// mailboxRow is a message as the development provider kept it.
type mailboxRow struct {
	Mobile  string    `json:"mobile"`
	Code    string    `json:"code"`
	Content string    `json:"content"`
	SentAt  time.Time `json:"sent_at"`
}

const maxMailbox = 20

// listMailbox shows the codes of a number, with which one logs in as its owner: to operators, or with MailboxPublic to
// anybody. It is for development and exists only with the outbox provider.
func (a *API) listMailbox(c echo.Context) error {
	mobile := c.QueryParam("mobile")
	if !sms.ValidMobile(mobile) {
		return server.BadRequest("mobile", msgMobile)
	}
	messages, err := a.Mailbox.Messages(c.Request().Context(), mobile, maxMailbox)
	if err != nil {
		return err
	}
	list := make([]mailboxRow, len(messages))
	for i, m := range messages {
		list[i] = mailboxRow{Mobile: m.Mobile, Code: m.Code, Content: m.Content, SentAt: m.UpdatedAt.UTC()}
	}
	return server.OK(c, list)
}
