package tasks

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPlainIntegers(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"n":1.0,"m":[1e3,-0.0,2.5,{"x":12.50e1}],"s":"1.0"}`: `{"n":1,"m":[1000,0,2.5,{"x":125}],"s":"1.0"}`,
		`[100e-2,-3.000E+0,0e999999999999,0.0e9]`:              `[1,-3,0,0]`,
		`{"n":1,"m":2}`:     "",
		`[1e400,1e-1,1e24]`: "",
		`{"n":1.0`:          "",
		`nonsense`:          "",
	} {
		require.Equal(t, want, string(plainIntegers([]byte(raw))), raw)
	}
}

// TestPlainIntegersKeepTheValue compares with exact arithmetic.
func TestPlainIntegersKeepTheValue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number")
		require.True(t, json.Valid([]byte(number)))
		plain, ok := plainInteger(number)
		if !ok {
			return
		}
		was, _ := new(big.Rat).SetString(number)
		is, _ := new(big.Rat).SetString(plain)
		require.Zero(t, was.Cmp(is), "%s became %s", number, plain)
		require.True(t, is.IsInt())
	})
}
