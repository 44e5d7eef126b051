package keyring

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// entry is a key that is made of its seed.
func entry(id string, seed byte) string {
	raw := make([]byte, KeySize)
	for i := range raw {
		raw[i] = seed + byte(i)*7
	}
	return id + ":" + base64.StdEncoding.EncodeToString(raw)
}

func parse(t *testing.T, entries ...string) *Ring {
	t.Helper()
	r, err := Parse(strings.Join(entries, ","))
	require.NoError(t, err)
	return r
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := entry("k1", 1)
	_, encoded, _ := strings.Cut(good, ":")
	for name, c := range map[string]struct{ text, want string }{
		"no id":         {encoded, "entry 1 does not begin with the id"},
		"an empty id":   {":" + encoded, "entry 1 does not begin with the id"},
		"a wrong id":    {good + ",k 2:" + encoded, "entry 2 does not begin with the id"},
		"a long id":     {entry(strings.Repeat("k", MaxID+1), 1), "entry 1 does not begin with the id"},
		"an empty part": {good + ",", "entry 2 does not begin with the id"},
		"twice":         {good + "," + entry("k1", 2), `two keys have the id "k1"`},
		"no base64":     {"k1:" + strings.Repeat("?", 44), `"k1" is not in base64`},
		"cut base64":    {good[:len(good)-2], `"k1" is not in base64`},
		"short":         {"k1:" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef")), `"k1" has 16 bytes instead of 32`},
		"long":          {"k1:" + base64.StdEncoding.EncodeToString(make([]byte, 33)), `"k1" has 33 bytes instead of 32`},
		"nothing":       {"k1:", `"k1" has 0 bytes instead of 32`},
		"zeros":         {"k1:" + base64.StdEncoding.EncodeToString(make([]byte, 32)), `"k1" is not random`},
		"too many": {func() string {
			var all []string
			for i := range MaxKeys + 1 {
				all = append(all, entry(fmt.Sprint("k", i), byte(i)))
			}
			return strings.Join(all, ",")
		}(), "more than 16 keys"},
	} {
		_, err := Parse(c.text)
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), encoded[:8], name)
	}
	r, err := Parse(" ")
	require.NoError(t, err)
	require.Nil(t, r)
	require.Empty(t, r.IDs())
	require.Equal(t, []string{"k2", "k1"}, parse(t, " "+entry("k2", 2), " "+good+"\n").IDs())
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	old := parse(t, entry("k1", 1))
	both := parse(t, entry("k2", 2), entry("k1", 1))
	young := parse(t, entry("k2", 2))
	other := parse(t, entry("k1", 3))

	id, data := old.Seal([]byte("13800138000"), "here")
	require.Equal(t, "k1", id)
	require.NotContains(t, string(data), "13800138000")
	_, again := old.Seal([]byte("13800138000"), "here")
	require.NotEqual(t, data, again, "each has a nonce of its own")
	for _, r := range []*Ring{old, both} {
		value, err := r.Open(id, data, "here")
		require.NoError(t, err)
		require.Equal(t, "13800138000", string(value))
	}
	id2, data2 := both.Seal(nil, "here")
	require.Equal(t, "k2", id2, "the first key encrypts")
	value, err := young.Open(id2, data2, "here")
	require.NoError(t, err)
	require.Empty(t, value)

	var unknown *UnknownKeyError
	for _, r := range []*Ring{young, nil} {
		_, err = r.Open(id, data, "here")
		require.ErrorAs(t, err, &unknown)
		require.Equal(t, UnknownKeyError{ID: "k1"}, *unknown)
	}
	_, err = other.Open(id, data, "here")
	require.ErrorAs(t, err, &unknown, "a mistake in the settings is not taken for a forgery")
	require.True(t, unknown.Other)

	_, err = old.Open(id, data, "there")
	require.ErrorIs(t, err, ErrForged)
	for i := checkSize; i < len(data); i++ {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		_, err = old.Open(id, changed, "here")
		require.ErrorIs(t, err, ErrForged, "byte %d", i)
	}
	for n := range data {
		_, err = old.Open(id, data[:n], "here")
		require.Error(t, err, "cut to %d", n)
	}
}

// TestDigestsOutliveARotation: the steps of one, in order, on processes that are not all at the same step.
func TestDigestsOutliveARotation(t *testing.T) {
	t.Parallel()
	value := []byte("13800138000")
	k9, k10 := entry("k9", 1), entry("k10", 2)
	before := parse(t, k9).MAC("c", value)
	require.Equal(t, before, parse(t, k9, k10).MAC("c", value))
	require.Equal(t, before, parse(t, k10, k9).MAC("c", value))
	require.NotEqual(t, before, parse(t, k10).MAC("c", value))
	require.NotEqual(t, before, parse(t, k9).MAC("d", value))
	require.NotEqual(t, parse(t, k9).MAC("ab", []byte("c")), parse(t, k9).MAC("a", []byte("bc")))
}

func TestARingPrintsWithoutItsKeys(t *testing.T) {
	t.Parallel()
	r := parse(t, entry("k2", 2), entry("k1", 1))
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("ring", "ring", r)
	for _, text := range []string{fmt.Sprint(r), fmt.Sprintf("%+v", r), fmt.Sprintf("%#v", r)} {
		require.Equal(t, "keyring(k2, k1)", text)
	}
	require.Contains(t, log.String(), `ring="keyring(k2, k1)"`)
}
