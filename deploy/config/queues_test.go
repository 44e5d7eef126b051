package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLengths(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "",
		"default:100000":               "default:100000",
		" low : 5 ,default:1000000000": "default:1000000000,low:5",
	} {
		var l Lengths
		require.NoError(t, l.UnmarshalText([]byte(text)))
		require.Equal(t, want, l.String())
	}
	kept := Lengths{"a": 1}
	for text, want := range map[string]string{
		"default":            `length "" of queue "default" is not a whole number from 1 to 1000000000`,
		"default:0":          `length "0" of queue "default" is not a whole number from 1 to 1000000000`,
		"default:-1":         `length "-1" of queue "default"`,
		"default:1000000001": `length "1000000001" of queue "default"`,
		"default:1e3":        `length "1e3" of queue "default"`,
		"a b:1":              `queue name "a`,
		":1":                 `queue name "" is not made of`,
		"a:1,a:2":            `queue "a" is listed twice`,
	} {
		require.ErrorContains(t, kept.UnmarshalText([]byte(text)), want)
		require.Equal(t, Lengths{"a": 1}, kept)
	}
}
