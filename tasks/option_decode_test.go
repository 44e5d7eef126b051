package tasks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
)

func TestDecodeOptionsNamesTheField(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"colour":1}`:                            "option colour: unknown option",
		`{"on_success":[{"task":"a","x":1}]}`:     "option on_success[0].x: unknown option",
		`{"priority":1}`:                          "option priority: want high, normal or low",
		`{"priority":"urgent"}`:                   "option priority: want high, normal or low",
		`{"history":[]}`:                          "option history: want full, meta or off",
		`{"timeout":"soon"}`:                      `option timeout: want a number of seconds, or a duration such as "10s"`,
		`{"expires":true}`:                        `option expires: want an RFC 3339 time, a number of seconds, or a duration such as "10s"`,
		`{"max_retries":"x"}`:                     `option max_retries: wants an integer, not the string`,
		`{"tags":["a",1]}`:                        "option tags[1]: wants a string, not the number",
		`{"tags":"a"}`:                            `option tags: wants an array, not the string`,
		`{"headers":{"a":true}}`:                  "option headers.a: wants a string, not the ",
		`{"backoff":{"base":"x"}}`:                `option backoff.base: want a number of seconds, or a duration such as "10s"`,
		`{"on_failure":[{"backoff":{"cap":{}}}]}`: `option on_failure[0].backoff.cap: want a number of seconds, or a duration such as "10s"`,
		`{"tags":[],"tags":[]}`:                   "option tags: is given twice",
		`[]`:                                      "option : wants an object, not the array",
	} {
		_, err := tasks.DecodeOptions([]byte(raw))
		var optErr *tasks.OptionError
		require.ErrorAs(t, err, &optErr, raw)
		require.ErrorContains(t, err, want)
	}
	o, err := tasks.DecodeOptions([]byte(`{"priority":"high","tags":["a"]}`))
	require.NoError(t, err)
	require.Equal(t, tasks.High, *o.Priority)
}
