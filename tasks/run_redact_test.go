package tasks

import (
	"context"
	"errors"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, args, want string }{
		{"13800138000的短信发送失败：busy", `{"mobile":"13800138000"}`, "***的短信发送失败：busy"},
		{"mobile is wrong", `{"mobile":"13800138000"}`, "mobile is wrong"},
		{"no user 4711 at Bobby, Bobby's", `{"user":{"id":4711,"names":["Bobby",null,true]}}`, "no user *** at ***, ***'s"},
		{"12345678 and 5678", `["5678","12345678"]`, "*** and ***"},
		{"3 of 10 failed", `{"n":3,"m":10}`, "3 of 10 failed"},
		{"no", `not JSON`, "no"},
		{"", `{"a":"long enough"}`, ""},
	} {
		require.Equal(t, c.want, Redact(c.text, []byte(c.args)))
	}
}

// TestTheHistoryOfAPrivateTaskHoldsNoArguments: not in the error either, which the task's own answer has whole.
func TestTheHistoryOfAPrivateTaskHoldsNoArguments(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{"meta": "*** cannot be reached", "full": "13800138000 cannot be reached"} {
		history := &fakeHistory{}
		m := fakeMux(newFake(), MuxOptions{History: history})
		d := Define[map[string]string, string]("test.call")
		Handle(m, d, func(context.Context, map[string]string) (string, error) {
			return "", Permanent(errors.New("13800138000 cannot be reached"))
		})
		task := asynq.NewTaskWithHeaders("test.call", []byte(`{"mobile":"13800138000"}`), map[string]string{headerHistory: mode})
		require.ErrorContains(t, m.ProcessTask(t.Context(), task), "13800138000 cannot be reached")
		require.Len(t, history.records, 1)
		require.Equal(t, want, history.records[0].Error)
	}
}
