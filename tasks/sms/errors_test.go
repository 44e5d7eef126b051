package sms

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
)

func TestPeopleAreToldTheProvidersReasonAndNoOther(t *testing.T) {
	t.Parallel()
	refused := &TencentError{Code: "FailedOperation.PhoneNumberInBlacklist", Message: "blocked"}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"a refusal":              {refused, "tencent: FailedOperation.PhoneNumberInBlacklist: blocked"},
		"a permanent refusal":    {tasks.Permanent(refused), "tencent: FailedOperation.PhoneNumberInBlacklist: blocked"},
		"a wrapped refusal":      {fmt.Errorf("sending: %w", refused), "tencent: FailedOperation.PhoneNumberInBlacklist: blocked"},
		"no way to the provider": {&TencentError{Code: "ClientError.NetworkError", Message: "dial tcp 10.0.0.1:443"}, reasonBusy},
		"no answer of the SDK":   {&TencentError{Code: "ClientError", Message: "dial tcp 10.0.0.1:443"}, reasonBusy},
		"no time":                {context.DeadlineExceeded, reasonBusy},
		"a database":             {errors.New("Error 1146: Table 'paidui.sms_messages' doesn't exist"), reasonBusy},
	} {
		require.Equal(t, test.want, reasonForPerson(test.err), name)
	}
}

func TestIsSendError(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		(&SendError{Mobile: testMobile, Why: reasonBusy, Err: errors.New("dial tcp")}).Error(): true,
		(&SendError{Mobile: testMobile, Err: errCodeGone}).Error():                             true,
		"": false,
		"dial tcp 127.0.0.1:3306: connect: connection refused":                   false,
		"timed out after 20s: " + testMobile + "的短信发送失败：系统繁忙，请稍后再试":              false,
		"panic: runtime error: " + testMobile + "的短信发送失败：invalid memory address": false,
		"的短信发送失败：": false,
	} {
		require.Equal(t, want, IsSendError(text), text)
	}
}
