package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"task":"demo.add","args":{"n":1,"m":2},"countdown":"10s"}`, `{"task":"x","task":"y"}`,
		`{"eta":"2026-01-01T00:00:00Z","expires":1.5,"backoff":{"base":1,"cap":"1m"}}`, `{"id":"\ud800"}`, `{"TASK":"x"}`,
		`{"max_retries":1e400}`, `{"timeout":-0}`, `{"args":`, "\xff", `{"a/b~c":1}`, `{"queue":"` + "\x00" + `"}`,
	} {
		f.Add([]byte(seed))
	}
	check, err := newChecker()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b taskBody
		err := decode(raw, &b)
		if err == nil {
			// What passes is one object that the usual reader understands alike.
			require.True(t, utf8.Valid(raw))
			require.True(t, bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")))
			var usual taskBody
			require.NoError(t, json.Unmarshal(raw, &usual))
			require.Equal(t, usual.Task, b.Task)
			err = check.Validate(b)
		}
		var e *Failure
		if err != nil {
			require.True(t, errors.As(err, &e), "%v", err)
			require.Equal(t, 400, e.Status)
			require.NotEmpty(t, e.Msg.ZH)
			require.NotEmpty(t, e.Msg.EN)
			_, err := json.Marshal(envelope{Code: e.Status, Msg: e.Msg.ZH, Field: e.Field})
			require.NoError(t, err)
		}
	})
}
