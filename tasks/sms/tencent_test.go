package sms

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
)

func testMessage() Message {
	return Message{TaskID: "sms_01890000", Mobile: "13812345678", Code: "042137", ValidFor: CodeTTL - 200*time.Millisecond}
}

func testTencent(t *testing.T, config TencentConfig) Sender {
	t.Helper()
	sender, err := NewTencent(config)
	require.NoError(t, err)
	return sender
}

func TestTencentSends(t *testing.T) {
	t.Parallel()
	server := newTencentServer(t, answerStatus("Ok", "send success", "5000:1045710669157053657849499619", 2))
	receipt, err := testTencent(t, server.config()).Send(t.Context(), testMessage())
	require.NoError(t, err)
	require.Equal(t, Receipt{SerialNo: "5000:1045710669157053657849499619", Fee: 2}, receipt)
	hits, bodies := server.requests()
	require.Equal(t, 1, hits)
	require.Equal(t, []map[string]any{{
		"PhoneNumberSet":   []any{"+8613812345678"},
		"SmsSdkAppId":      "1400006666",
		"SignName":         "排队",
		"TemplateId":       "1110",
		"TemplateParamSet": []any{"042137", "5"},
		"SessionContext":   "sms_01890000",
	}}, bodies)
}

func TestTencentTellsTheMinutesThatAreLeft(t *testing.T) {
	for left, want := range map[time.Duration]int{
		CodeTTL: 5, 4*time.Minute + 31*time.Second: 5, 3 * time.Minute: 3, 61 * time.Second: 1, time.Second: 1, 0: 1,
	} {
		require.Equal(t, want, Message{ValidFor: left}.minutes(), "%v", left)
	}
}

func TestTencentWithTheWrongKeyIsRefusedForGood(t *testing.T) {
	t.Parallel()
	server := newTencentServer(t, nil)
	config := server.config()
	config.SecretKey = "another"
	_, err := testTencent(t, config).Send(t.Context(), testMessage())
	var refused *TencentError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "AuthFailure.SignatureFailure", refused.Code)
	require.Equal(t, tencentRequestID, refused.RequestID)
	require.True(t, tasks.IsPermanent(err))
	_, bodies := server.requests()
	require.Empty(t, bodies)
}

func TestTencentErrorCodes(t *testing.T) {
	t.Parallel()
	for code, permanent := range map[string]bool{
		"InvalidParameterValue.IncorrectPhoneNumber":         true,
		"InvalidParameterValue.SdkAppIdNotExist":             true,
		"InvalidParameterValue.TemplateParameterFormatError": true,
		"InvalidParameter":                                         true,
		"MissingParameter.EmptyPhoneNumberSet":                     true,
		"FailedOperation.TemplateIncorrectOrUnapproved":            true,
		"FailedOperation.TemplateUnapprovedOrNotExist":             true,
		"FailedOperation.TemplateParamSetNotMatchApprovedTemplate": true,
		"FailedOperation.SignatureIncorrectOrUnapproved":           true,
		"FailedOperation.PhoneNumberInBlacklist":                   true,
		"FailedOperation.ContainSensitiveWord":                     true,
		"FailedOperation.InsufficientBalanceInSmsPackage":          true,
		"AuthFailure.SecretIdNotFound":                             true,
		"AuthFailure.SignatureExpire":                              true,
		"UnauthorizedOperation.RequestIpNotInWhitelist":            true,
		"UnauthorizedOperation.SerivceSuspendDueToArrears":         true,
		"UnsupportedOperation.UnsuportedRegion":                    true,
		"LimitExceeded.PhoneNumberDailyLimit":                      true,
		"LimitExceeded.PhoneNumberOneHourLimit":                    true,
		"LimitExceeded.AppDailyLimit":                              true,
		"LimitExceeded.PhoneNumberThirtySecondLimit":               false,
		"LimitExceeded.DeliveryFrequencyLimit":                     false,
		"LimitExceeded":                                            false,
		"RequestLimitExceeded":                                     false,
		"RequestLimitExceeded.UinLimitExceeded":                    false,
		"InternalError":                                            false,
		"InternalError.Timeout":                                    false,
		"InternalError.SendAndRecvFail":                            false,
		"ResourceUnavailable":                                      false,
		"FailedOperation":                                          false,
		"FailedOperation.OtherError":                               false,
		"InvalidParameterValues":                                   false, // no family of ours, however alike
		"SomethingNew.OfTomorrow":                                  false,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			for _, answer := range []http.HandlerFunc{
				answerError(code, "no 042137 for +8613812345678"),
				answerStatus(code, "no 042137 for +8613812345678", "", 0),
			} {
				server := newTencentServer(t, answer)
				receipt, err := testTencent(t, server.config()).Send(t.Context(), testMessage())
				require.Zero(t, receipt)
				var refused *TencentError
				require.ErrorAs(t, err, &refused)
				require.Equal(t, code, refused.Code)
				require.Equal(t, permanent, tasks.IsPermanent(err))
				require.Contains(t, err.Error(), "no ****** for")
				require.NotContains(t, err.Error(), "042137")
				hits, bodies := server.requests()
				require.Equal(t, 1, hits, "retries are the task's, not the SDK's")
				require.Len(t, bodies, 1)
			}
		})
	}
}

func TestTencentAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	const echo = `"TemplateParamSet":["042137","5"]`
	elsewhere := newTencentServer(t, nil)
	for name, answer := range map[string]http.HandlerFunc{
		"500 with a page":      answerText(500, "text/html", "<html>oops "+echo),
		"502 with a page":      answerText(502, "text/html", "<html>bad gateway</html>"),
		"503 with JSON":        answerText(503, "application/json", `{"message":"later",`+echo+`}`),
		"504 without a body":   answerText(504, "text/plain", ""),
		"429":                  answerText(429, "text/plain", "slow down"),
		"404 with a page":      answerText(404, "text/html", "<html>not here</html>"),
		"broken JSON":          answerText(200, "application/json", `{"Response":{"SendStatusSet":[{"Code":"Ok",`+echo),
		"JSON of another type": answerText(200, "application/json", `{"Response":{"SendStatusSet":[{"Code":7}]}}`),
		"an empty object":      answerText(200, "application/json", `{}`),
		"null":                 answerText(200, "application/json", `null`),
		"nothing":              answerText(200, "application/json", ""),
		"an event stream":      answerText(200, "text/event-stream", "data: 042137\n\n"),
		"octets":               answerText(200, "application/octet-stream", "042137"),
		"unknown encoding": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			answerText(200, "application/json", "042137")(w, r)
		},
		"no status":    answerJSON(200, map[string]any{"SendStatusSet": []any{}, "RequestId": "r"}),
		"two statuses": answerJSON(200, map[string]any{"SendStatusSet": []any{map[string]any{"Code": "Ok"}, map[string]any{"Code": "Ok"}}}),
		"a megabyte":   answerText(200, "application/json", strings.Repeat("042137 ", 1<<17)),
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"a hung up connection": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		},
		"half an answer": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			answerText(200, "application/json", `{"Response":`)(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := newTencentServer(t, answer)
			receipt, err := testTencent(t, server.config()).Send(t.Context(), testMessage())
			require.Error(t, err)
			require.Zero(t, receipt)
			require.False(t, tasks.IsPermanent(err), "%v", err)
			require.NotContains(t, err.Error(), "042137")
			hits, _ := server.requests()
			require.Equal(t, 1, hits)
		})
	}
	hits, _ := elsewhere.requests()
	require.Zero(t, hits, "a redirect was followed")
}

func TestTencentRefusalWithAnHTTPStatus(t *testing.T) {
	t.Parallel()
	server := newTencentServer(t, answerJSON(http.StatusUnauthorized, map[string]any{
		"Error": map[string]any{"Code": "AuthFailure.TokenFailure", "Message": "no"}, "RequestId": tencentRequestID,
	}))
	_, err := testTencent(t, server.config()).Send(t.Context(), testMessage())
	require.True(t, tasks.IsPermanent(err), "%v", err)
}

func TestTencentWithoutASerialNumberKeepsTheRequestID(t *testing.T) {
	t.Parallel()
	server := newTencentServer(t, answerStatus("Ok", "send success", "", 1))
	receipt, err := testTencent(t, server.config()).Send(t.Context(), testMessage())
	require.NoError(t, err)
	require.Equal(t, Receipt{SerialNo: tencentRequestID, Fee: 1}, receipt)
}

func TestTencentHeedsTheContext(t *testing.T) {
	t.Parallel()
	server := newTencentServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	sender := testTencent(t, server.config())

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := sender.Send(ctx, testMessage())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, tasks.IsPermanent(err))
	require.Less(t, time.Since(begun), tencentTimeout)

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = sender.Send(ctx, testMessage())
	require.ErrorIs(t, err, context.Canceled)
}

func TestTencentOutOfReach(t *testing.T) {
	t.Parallel()
	server := newTencentServer(t, nil)
	server.Close()
	_, err := testTencent(t, server.config()).Send(t.Context(), testMessage())
	var failed *TencentError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "ClientError.NetworkError", failed.Code)
	require.False(t, tasks.IsPermanent(err))
}

func TestTencentSendsConcurrently(t *testing.T) {
	t.Parallel()
	server := newTencentServer(t, nil)
	sender := testTencent(t, server.config())
	const n = 40
	serials, errs := make([]string, n), make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			receipt, err := sender.Send(t.Context(), testMessage())
			serials[i], errs[i] = receipt.SerialNo, err
		})
	}
	group.Wait()
	distinct := map[string]bool{}
	for i := range n {
		require.NoError(t, errs[i])
		distinct[serials[i]] = true
	}
	require.Len(t, distinct, n)
}

func TestTencentConfig(t *testing.T) {
	whole := TencentConfig{SecretID: "id", SecretKey: "key-not-to-be-shown", AppID: "1", SignName: "s", TemplateID: "2"}
	for name, test := range map[string]struct {
		change func(*TencentConfig)
		want   string // "" for none
	}{
		"whole":             {func(*TencentConfig) {}, ""},
		"a bare host":       {func(c *TencentConfig) { c.Endpoint = "sms.tencentcloudapi.com" }, ""},
		"with a slash":      {func(c *TencentConfig) { c.Endpoint = "https://sms.tencentcloudapi.com/" }, ""},
		"no secret id":      {func(c *TencentConfig) { c.SecretID = "" }, "secret id"},
		"no secret key":     {func(c *TencentConfig) { c.SecretKey = "" }, "secret key"},
		"no app, no sign":   {func(c *TencentConfig) { c.AppID, c.SignName = "", "" }, "app id, sign name"},
		"no template":       {func(c *TencentConfig) { c.TemplateID = "" }, "template id"},
		"another scheme":    {func(c *TencentConfig) { c.Endpoint = "ftp://host" }, "ftp"},
		"endpoint and path": {func(c *TencentConfig) { c.Endpoint = "https://host/path" }, "endpoint"},
		"no host":           {func(c *TencentConfig) { c.Endpoint = "https://" }, "endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			config := whole
			test.change(&config)
			sender, err := NewTencent(config)
			if test.want == "" {
				require.NoError(t, err)
				require.Equal(t, "tencent", sender.Provider())
				return
			}
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), whole.SecretKey)
		})
	}
}
