// Package sms sends the codes with which people log in by their mobile number.
//
// Codes, used by the API, draws a code, keeps it in the cache as send_sms_code_<mobile> and enqueues Send; later it
// consumes the code that the person typed. The handler that Bind registers runs in the worker: it reads the code
// from the cache, so that the code is in no task, gives it to a Sender and records the outcome in sms_messages.
package sms

import (
	"time"

	"github.com/paidui/paidui/models/away"
	"github.com/paidui/paidui/tasks"
)

// CodeTTL is how long a code is good for.
const CodeTTL = 5 * time.Minute

// sendTTL is how long the task that sends a code may wait: somewhat longer than the code lives, so that a task that had
// to wait ends by saying that the code has expired.
const sendTTL = CodeTTL + 30*time.Second

// Send delivers the code that is kept for a mobile number at the moment it runs. Its result is
// "<mobile>的短信发送成功"; the error of a failed one reads "<mobile>的短信发送失败：<why>". While the database or the cache does
// not answer it waits, for as long as the code lives.
var Send = tasks.Define[SendArgs, string]("sms.send",
	tasks.Queue("sms"),
	tasks.ExpiresIn(sendTTL),
	tasks.MaxRetries(5),
	tasks.Backoff(time.Second, 30*time.Second),
	tasks.SnoozeFor(tasks.ErrorAs[*away.Error]()), // what is marked: a provider that does not answer may have sent the message
	tasks.Timeout(20*time.Second),
	tasks.Encrypted(),
	tasks.History(tasks.HistoryMeta), // whose number was called is not for the history
)

// SendArgs are the arguments of Send.
type SendArgs struct {
	Mobile string `json:"mobile" jsonschema:"a mobile number of mainland China, 11 digits"`
}

// Validate implements tasks.Validator: a task for what is no mobile number is neither enqueued nor run.
func (a SendArgs) Validate() error {
	if !ValidMobile(a.Mobile) {
		return &tasks.ArgsError{Field: "mobile", Msg: "is not a mobile number of mainland China"}
	}
	return nil
}

// ValidMobile tells whether s is a mobile number of mainland China: ^1[3-9][0-9]{9}$, ASCII digits only.
func ValidMobile(s string) bool {
	return len(s) == 11 && s[0] == '1' && s[1] >= '3' && digits(s)
}

// MaskMobile hides the middle of a mobile number for logs, 138****0000. Whatever is no number is hidden whole.
func MaskMobile(mobile string) string {
	if !ValidMobile(mobile) {
		return "****"
	}
	return mobile[:3] + "****" + mobile[7:]
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
