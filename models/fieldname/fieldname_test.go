package fieldname_test

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/fieldname"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for pointer, want := range map[jsontext.Pointer]string{
		"": "", "/n": "n", "/0": "0", "/on_success/0/backoff/base": "on_success[0].backoff.base", "/a~1b/c": "a/b.c",
	} {
		require.Equal(t, want, fieldname.Of(pointer))
	}
}
